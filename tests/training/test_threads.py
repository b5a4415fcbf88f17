"""Threads: one for small networks, and the caller's number again afterwards, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from longlag import LSTM, CellSpec, Network
from longlag.training.threads import WORTH_SHARING, fitting_threads


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def network(inputs: int, hidden: int) -> Network:
    return Network(LSTM(inputs, hidden), 1)


def test_a_small_network_runs_on_one_thread() -> None:
    with fitting_threads(network(1, 8), 32):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_a_large_network_runs_on_all_the_caller_allows() -> None:
    with fitting_threads(network(256, 256), 64):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("inputs", "cell"), [(1, None), (300, None), (1, CellSpec(coupled_gates=True))])
def test_the_work_of_a_step_decides(inputs: int, cell: CellSpec | None) -> None:
    """Two operations per weight and sample: the matrix products of one step of the widest layer."""
    given = Network(LSTM(inputs, 64, cell=cell), 1)
    weights = given.lstm.weight_ih_l0.shape[0] * (max(inputs, 64) + 64)
    enough = -(-WORTH_SHARING // (2 * weights))  # rounded up
    with fitting_threads(given, enough - 1):
        assert torch.get_num_threads() == 1
    with fitting_threads(given, enough):
        assert torch.get_num_threads() == 2


def test_one_thread_stays_one() -> None:
    torch.set_num_threads(1)
    for given in (network(1, 8), network(256, 256)):
        with fitting_threads(given, 64):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1


def test_an_error_inside_brings_the_threads_back_too() -> None:
    with pytest.raises(KeyError), fitting_threads(network(1, 8), 1):
        raise KeyError
    assert torch.get_num_threads() == 2


def test_blocks_can_be_nested() -> None:
    small, large = network(1, 8), network(256, 256)
    with fitting_threads(small, 1):
        with fitting_threads(large, 64):
            assert torch.get_num_threads() == 1  # the caller of the inner block allows one
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
