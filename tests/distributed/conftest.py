"""Executors that several files share: a process takes seconds to import PyTorch."""

import pytest

from longlag.distributed import ProcessExecutor, SerialExecutor


@pytest.fixture(scope="session")
def two_for_all():
    with ProcessExecutor(2) as executor:
        yield executor


@pytest.fixture
def two(two_for_all):
    """Two worker processes, whoever used them before."""
    two_for_all.gather(2)
    return two_for_all


@pytest.fixture
def serial():
    with SerialExecutor() as executor:
        yield executor
