"""Freed memory is used again without asking the system for it."""

import platform
import resource

import pytest
import torch

from lstm_ae.training.memory import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told")
def test_later_steps_map_no_new_pages():
    keep_freed_memory()

    def step():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(10, 2**20).mul(2).sum()  # two arrays of 40 MiB, beyond what glibc learns to keep by itself
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults = [step() for _ in range(16)]
    assert min(faults[8:]) < 1000  # of the 20,480 pages that they take
