"""What the tests of faults share: one process that forks for each command."""

from collections.abc import Iterator

import pytest

from tests.faults.processes import Processes


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    with Processes() as running:
        yield running
