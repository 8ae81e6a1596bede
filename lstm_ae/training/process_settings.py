"""How training uses the processor and its memory."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """From now on, freed memory stays with the process for the next training step instead of going back to the system.

    A step allocates the same large arrays as the one before. By default glibc maps each of them anew, and the kernel
    then has to zero every page again: a quarter to a third of a step on long sequences. The peak of memory grows
    somewhat. Elsewhere than on glibc nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """Within, the processor takes numbers below 1e-38 for zero.

    Over many steps gradients fade into such subnormal numbers, with which it computes several times slower: a step of a
    plain LSTM on 784 pixels takes seven times as long. To be entered before torch starts its threads, which inherit it.
    """
    import torch  # late: printing a config must not wait for it

    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
