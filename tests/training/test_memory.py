"""Freed memory is used again without asking the system for it."""

import platform
import resource

import pytest
import torch

from lstm_ae.training.memory import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told")
def test_a_step_after_the_first_maps_no_new_pages():
    keep_freed_memory()

    def step():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(4, 2**20).mul(2).sum()  # two arrays of 16 MiB
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    step()
    assert max(step() for _ in range(3)) < 1000  # of the 8192 pages that they take
