"""What all tests share: one thread, property tests that repeat, and the real data where `LSTM_AE_DATA` names it."""

import signal
from pathlib import Path

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
if hasattr(signal, "SIGHUP"):  # under nohup it is ignored, here and in all programs that tests start and hang up on
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same state of torch's random numbers."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that holds the published MNIST files; a test that asks for it is skipped where they are not."""
    from lstm_ae.data.files import data_root
    from lstm_ae.data.mnist import SHA256

    folder = data_root() / "mnist"
    missing = [name for name in SHA256 if not any((folder / f"{name}{end}").is_file() for end in (".gz", ""))]
    if missing:
        pytest.skip(f"real MNIST is not at hand: no {missing[0]} in {folder} (LSTM_AE_DATA names another folder)")
    return data_root()


@pytest.fixture(scope="session")
def real_stocks() -> Path:
    """The folder that holds the published stock prices; a test that asks for it is skipped where they are not."""
    from lstm_ae.data.files import data_root
    from lstm_ae.data.sp500 import CSV

    if not any((data_root() / f"{CSV.name}{end}").is_file() for end in (".gz", "")):
        pytest.skip(
            f"the real prices are not at hand: no {CSV.name} in {data_root()} (LSTM_AE_DATA names another folder)"
        )
    return data_root()
