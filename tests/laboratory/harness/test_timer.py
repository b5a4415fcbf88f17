"""The timer: measurements are taken in turn, and the caller's threads are afterwards as before."""

from __future__ import annotations

import pytest
import torch

from longlag_lab.harness.timer import Effort, interleaved, torch_threads


def test_measurements_are_taken_in_turn_as_often_as_the_effort_says():
    taken = []
    measurements = [lambda: taken.append("a") or len(taken), lambda: taken.append("b") or len(taken)]
    assert interleaved(measurements, Effort(least=3, most=9)) == [[1, 3, 5], [2, 4, 6]]  # no seconds beyond the least
    assert taken == ["a", "b"] * 3
    assert [len(values) for values in interleaved(measurements, Effort(least=1, most=4, seconds=1e9))] == [4, 4]
    assert interleaved([], Effort(least=3, most=9)) == []


def test_threads_are_afterwards_as_before_whatever_happens():
    torch.set_num_threads(2)
    with pytest.raises(KeyError, match="1 thread"), torch_threads(1):
        raise KeyError(f"{torch.get_num_threads()} thread")
    assert torch.get_num_threads() == 2
