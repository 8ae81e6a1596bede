"""Tests of the native layer need a compiler; without one they are skipped."""

import pytest

from lstm_ae.kernels import native


@pytest.fixture(scope="session")
def compiled():
    """The loaded library."""
    if not native.usable():
        pytest.skip("the native layer cannot be compiled here")
    return native.library()
