#!/bin/sh
# Runs the tests of the native LSTM layer with its memory accesses checked: no read or write outside a tensor, and no
# undefined behaviour. Needs gcc. From the project's root, in its environment:
#
#     sh experiments/benchmark/sanitize.sh
#
# Python itself is not instrumented, so the checker has to be loaded before it; libstdc++ beside it lets torch's
# exceptions pass. The library is compiled into a cache of its own. Python frees nothing at its end: no leaks are looked
# for.
set -eu
XDG_CACHE_HOME=$(mktemp -d)
trap 'rm -rf "$XDG_CACHE_HOME"' EXIT
export XDG_CACHE_HOME CC=gcc
export LSTM_AE_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover -g -O1"
export ASAN_OPTIONS=detect_leaks=0
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)" \
    python -m pytest -p no:faulthandler tests/kernels -k "not backend" "$@"
