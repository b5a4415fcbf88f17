"""Every topology of the 1997 paper's experiments has the number of weights that its Table 10 prints."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch

import longlag
from longlag import CellSpec


class Row(NamedTuple):
    """Columns 1, 4-9 and 12 of Table 10. ``biases``: "ga" gate units, "b1" all hidden units, "all" all noninput."""

    task: str
    blocks: int
    size: int
    inputs: int
    outputs: int
    weights: int
    connectivity: str
    biases: str | None


TABLE_10 = [
    Row("1-1", 4, 1, 7, 7, 264, "F", "ga"),
    Row("1-2", 3, 2, 7, 7, 276, "F", "ga"),
    Row("1-3", 3, 2, 7, 7, 276, "F", "ga"),
    Row("1-4", 4, 1, 7, 7, 264, "F", "ga"),
    Row("1-5", 3, 2, 7, 7, 276, "F", "ga"),
    Row("2a", 1, 1, 101, 101, 10504, "B", None),
    Row("2b", 1, 1, 101, 101, 10504, "B", None),
    Row("2c-1", 2, 1, 54, 2, 364, "F", None),
    Row("2c-2", 2, 1, 104, 2, 664, "F", None),
    Row("2c-3", 2, 1, 204, 2, 1264, "F", None),
    Row("2c-4", 2, 1, 504, 2, 3064, "F", None),
    Row("2c-5", 2, 1, 1004, 2, 6064, "F", None),
    Row("2c-6", 2, 1, 504, 2, 3064, "F", None),
    Row("2c-7", 2, 1, 204, 2, 1264, "F", None),
    Row("2c-8", 2, 1, 104, 2, 664, "F", None),
    Row("2c-9", 2, 1, 54, 2, 364, "F", None),
    Row("3a", 3, 1, 1, 1, 102, "F", "b1"),
    Row("3b", 3, 1, 1, 1, 102, "F", "b1"),
    Row("3c", 3, 1, 1, 1, 102, "F", "b1"),
    Row("4-1", 2, 2, 2, 1, 93, "F", "all"),
    Row("4-2", 2, 2, 2, 1, 93, "F", "all"),
    Row("4-3", 2, 2, 2, 1, 93, "F", "all"),
    Row("5", 2, 2, 2, 1, 93, "F", "all"),
    Row("6a", 2, 2, 8, 4, 156, "F", "all"),
    Row("6b", 3, 2, 8, 8, 308, "F", "all"),
]


def network(row: Row) -> longlag.Network:
    """As the paper's user would write it. B (2a, 2b): no output gate, no recurrence, outputs read inputs as well."""
    dense = row.connectivity == "F"
    cell = CellSpec.hochreiter1997(
        cells_per_block=row.size,
        output_gate=dense,
        recurrence=dense,
        biases="gates" if row.biases == "ga" else "single",
        # the note under the table swaps the ranges of g and h; the appendix has them right
        output_squash="logistic_pm1" if dense else "identity",
        input_squash="logistic_pm2" if dense else "logistic",
    )
    return longlag.Network(
        longlag.LSTM(row.inputs, row.blocks * row.size, bias=row.biases is not None, cell=cell),
        row.outputs,
        reads="cells" if dense else "cells+inputs",
        bias=row.biases == "all",
    )


@pytest.mark.parametrize("row", TABLE_10, ids=lambda row: row.task)
def test_the_network_has_the_weights_of_the_table(row):
    net = network(row)
    assert net.weight_count() == row.weights
    answers, _ = net(torch.randn(2, 3, row.inputs))
    assert answers.shape == (2, 3, row.outputs)
    answers.sum().backward()
    assert all(weight.grad is not None for weight in net.parameters() if weight.numel())  # each of them is in use


def test_the_table_is_whole():
    assert len(TABLE_10) == len({row.task for row in TABLE_10}) == 25
    assert sorted({row.weights for row in TABLE_10}) == [93, 102, 156, 264, 276, 308, 364, 664, 1264, 3064, 6064, 10504]


def test_a_weight_that_is_held_fast_does_not_count():
    net = network(TABLE_10[-1])
    net.lstm.weight_hh_l0.requires_grad_(False)
    assert net.weight_count() == 308 - 12 * 12
