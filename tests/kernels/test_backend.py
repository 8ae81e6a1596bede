"""Who computes: the choice, and what happens where there is none."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from lstm_ae.errors import ConfigError
from lstm_ae.kernels import LSTM, choose_backend, compiling, describe, native, use_backend

# What a process of its own prints: the choice, the vector's width, how far results and gradients are from nn.LSTM's.
PROGRAM = """
import logging, sys, torch
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
from lstm_ae.kernels import LSTM, choose_backend, native, use_backend
backend = choose_backend(sys.argv[1], "cpu")
errors = []
for units in (8, 19):
    lstm, other = LSTM(3, units), LSTM(3, units)
    other.load_state_dict(lstm.state_dict())
    use_backend(lstm, backend)
    inputs = torch.randn(7, 5, 3)
    for computed in (lstm, other):
        computed(inputs)[0].sin().sum().backward()
    errors.append((lstm(inputs)[0] - other(inputs)[0]).abs().max().item())
    errors += [(a.grad - b.grad).abs().max().item() for a, b in zip(lstm.parameters(), other.parameters())]
print("RESULT", backend, native.library().lanes if backend == "native" else 0, max(errors) < 1e-5)
"""


def process(cache, name="auto", **environment):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cache), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, name],
        env=environment,
        cwd=Path(__file__).parents[2],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def run(cache, name="auto", **environment):
    """The last line's words, and all that was said before."""
    said, _ = process(cache, name, **environment).communicate(timeout=300)
    *before, last = said.strip().splitlines()
    return last.split()[1:], before


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """As in a process that has not asked for the library yet, with an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for function in (native._attempt, native.usable):
        function.cache_clear()
    yield tmp_path
    for function in (native._attempt, native.usable):
        function.cache_clear()


def test_native_where_it_can_be_compiled(compiled):
    assert choose_backend("auto", "cpu") == choose_backend("native", torch.device("cpu")) == "native"
    assert choose_backend("torch", "cpu") == "torch"
    assert choose_backend("auto", "cuda") == "torch"
    assert describe("torch") == "torch"
    assert f"{compiled.lanes} lanes" in describe("native")


def test_what_cannot_be_is_refused_by_name(compiled):
    with pytest.raises(ConfigError, match="backend=fast: must be one of auto, torch, native"):
        choose_backend("fast", "cpu")
    with pytest.raises(ConfigError, match=r"backend=native: .*CPU"):
        choose_backend("native", "cuda")


def test_use_backend_reaches_every_lstm_of_ours():
    model = nn.ModuleList([LSTM(1, 2), nn.Sequential(LSTM(1, 2)), nn.LSTM(1, 2)])
    use_backend(model, "native")
    assert [m.backend for m in model.modules() if isinstance(m, LSTM)] == ["native", "native"]
    assert not hasattr(model[2], "backend")


def test_no_compiler(fresh, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(fresh))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(compiling.importlib.util, "find_spec", lambda name: None)
    with caplog.at_level("INFO"):
        assert choose_backend("auto", "cpu") == "torch"
    assert len(caplog.messages) == 1 and "no C compiler" in caplog.text
    with pytest.raises(ConfigError, match=r"backend=native: no C compiler.*ziglang"):
        choose_backend("native", "cpu")
    lstm = LSTM(2, 3)
    lstm.backend = "native"  # as in a model that was pickled elsewhere
    assert lstm(torch.randn(2, 3, 2))[0].shape == (2, 3, 3)


@pytest.mark.parametrize(
    "compiler,reason",
    [
        ("exit 1", "ended with 1"),
        ('[ "$1" = --version ] && echo fake 1.0 || { echo "error: out of ideas" >&2; exit 3; }', "out of ideas"),
        ('[ "$1" = --version ] && echo fake 1.0 || true', "does not load"),
    ],
    ids=["no version", "an error", "an empty library"],
)
def test_a_failing_compiler_costs_one_line(fresh, monkeypatch, caplog, compiler, reason):
    monkeypatch.setenv("CC", script(fresh / "cc", compiler))
    with caplog.at_level("INFO", logger="lstm_ae.kernels.backend"):
        assert choose_backend("auto", "cpu") == "torch"
        assert choose_backend("auto", "cpu") == "torch"
    lines = [r.message for r in caplog.records if r.name == "lstm_ae.kernels.backend"]
    assert reason in lines[0]
    assert not list((fresh / "cache").rglob("lstm-*.so?*"))  # no temporary file stays


def test_an_unwritable_cache_means_compiling_in_every_process(compiled, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    for _ in range(2):
        (backend, _, right), said = run(tmp_path / "cache")
        assert (backend, right) == ("native", "True")
        assert any("cannot keep the compiled LSTM layer" in line for line in said)
        assert sum("compiling" in line for line in said) == 1


def test_two_processes_at_once_and_one_later(compiled, tmp_path):
    together = [process(tmp_path) for _ in range(2)]
    for one in together:
        assert "RESULT native" in one.communicate(timeout=300)[0]
    files = list((tmp_path / "lstm_ae" / "kernels").iterdir())
    assert len(files) == 1 and files[0].suffix == ".so"
    (backend, *_), said = run(tmp_path)
    assert backend == "native" and not any("compiling" in line for line in said)


@pytest.mark.skipif(compiling.platform.machine() not in ("x86_64", "AMD64"), reason="flags of x86-64")
@pytest.mark.parametrize("flags,lanes", [("-march=x86-64", "4"), ("-march=haswell", "8")])
def test_narrower_vectors(compiled, tmp_path, flags, lanes):
    if lanes == "8" and compiled.lanes < 8:
        pytest.skip("a processor without AVX2")
    (backend, width, right), _ = run(tmp_path, "native", LSTM_AE_CFLAGS=flags)
    assert (backend, width, right) == ("native", lanes, "True")


def test_what_long_sequences_keep_goes_past_the_cache_and_comes_back(compiled, tmp_path):
    (backend, _, right), _ = run(tmp_path, "native", LSTM_AE_CFLAGS="-DLONG_TAPE=0")  # all are long then
    assert (backend, right) == ("native", "True")


@pytest.mark.skipif(compiling.platform.machine() not in ("x86_64", "AMD64"), reason="flags of x86-64")
def test_vectors_that_are_not_worth_it_are_left_to_torch(compiled, tmp_path):
    (backend, *_), said = run(tmp_path, "auto", LSTM_AE_CFLAGS="-march=x86-64")
    assert backend == "torch" and "backend=native uses it" in said[-1]
