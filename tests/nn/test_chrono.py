"""Memories of every length: what a cell keeps of its state from one step to the next, right after chrono_."""

from __future__ import annotations

import pytest
import torch

import longlag
from longlag import CellSpec
from longlag.errors import InputError
from longlag.nn import init

CELLS = {
    "torch's": CellSpec(gate_recurrence=True),
    "blocks": CellSpec(cells_per_block=3, gate_recurrence=True, biases="single"),
    "sharp, gates biased": CellSpec(sharpness=3.75, gate_recurrence=True, biases="gates"),
    "coupled": CellSpec(coupled_gates=True, gate_recurrence=True),
    "no input gate": CellSpec(input_gate=False, gate_recurrence=True),
}


def silent(cell: CellSpec, **options: int) -> longlag.LSTM:
    """A layer in which nothing speaks yet."""
    lstm = longlag.LSTM(2, 6, cell=cell, dtype=torch.float64, **options)
    with torch.no_grad():
        for weight in lstm.parameters():
            weight.zero_()
    return lstm


@pytest.mark.parametrize("longest", [1, 2, 3, 50])
@pytest.mark.parametrize("name", CELLS)
def test_lifetimes_of_states_are_spread_evenly_up_to_the_longest(name: str, longest: int) -> None:
    lstm = silent(CELLS[name], num_layers=2, bidirectional=True)
    init.chrono_(lstm, longest)
    one = torch.ones(4, 1, 6, dtype=torch.float64)
    start = (torch.zeros_like(lstm.initial_state(1)[0]), one, torch.zeros_like(lstm.initial_state(1)[2]))
    _, (_, kept, gates) = lstm(torch.zeros(1, 1, 2, dtype=torch.float64), start)
    blocks = lstm.cell.blocks(6)
    lifetimes = 2 + max(longest - 2, 0) * (torch.arange(blocks, dtype=torch.float64) + 0.5) / blocks
    expected = 1 - 1 / lifetimes.repeat_interleave(6 // blocks)
    torch.testing.assert_close(kept[:, 0], expected.expand(4, 6), rtol=0, atol=1e-12)
    if lstm.cell.input_gate:  # what is kept long is changed little
        torch.testing.assert_close(gates[:, 0, :blocks], (1 / lifetimes).expand(4, blocks), rtol=0, atol=1e-12)


def test_nothing_but_gate_biases_changes() -> None:
    lstm = longlag.LSTM(2, 6)
    before = {name: weight.detach().clone() for name, weight in lstm.named_parameters()}
    init.chrono_(lstm, 10)
    for name, weight in lstm.named_parameters():
        changed = (weight != before[name]).nonzero().flatten().tolist()
        assert changed == (list(range(12)) if name.startswith("bias") else []), name


def test_a_cell_that_cannot_forget_or_has_no_bias_is_refused() -> None:
    with pytest.raises(InputError, match="no forget gate: it remembers without end"):
        init.chrono_(silent(CellSpec.hochreiter1997()), 10)
    with pytest.raises(InputError, match="has no biases"):
        init.chrono_(longlag.LSTM(2, 6, bias=False), 10)
