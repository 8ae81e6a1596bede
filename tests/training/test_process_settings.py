"""Freed memory is used again without asking the system for it; subnormal numbers are zero while training."""

import platform
import resource

import pytest
import torch

from lstm_ae.training.process_settings import keep_freed_memory, subnormals_flushed


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told")
def test_later_steps_map_no_new_pages():
    keep_freed_memory()

    def step():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(10, 2**20).mul(2).sum()  # two arrays of 40 MiB, beyond what glibc learns to keep by itself
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults = [step() for _ in range(16)]
    assert min(faults[8:]) < 1000  # of the 20,480 pages that they take


def test_subnormals_are_zero_within_and_numbers_outside():
    small = torch.tensor(1e-30)
    assert small * 1e-10 > 0
    with pytest.raises(KeyError), subnormals_flushed():
        assert small * 1e-10 == 0
        raise KeyError
    assert small * 1e-10 > 0
