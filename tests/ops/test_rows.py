"""Which unit a weight row, a column of the recurrent source and a stored bias belong to."""

from __future__ import annotations

import torch

from longlag import CellSpec
from longlag.ops import reference
from longlag.ops.engine import LayerCall
from longlag.ops.layer import State, Weights, unit_bias
from longlag.ops.paths import FULL


def test_rows_stand_in_the_order_i_f_g_o_u() -> None:
    spec = CellSpec(cells_per_block=2, gate_recurrence=True, conventional_units=3)
    assert spec.rows(4) == {"i": slice(0, 2), "f": slice(2, 4), "g": slice(4, 8), "o": slice(8, 10), "u": slice(10, 13)}
    assert (spec.row_count(4), spec.gate_size(4), spec.output_size(4), spec.source_size(4)) == (13, 6, 7, 13)
    assert (spec.output_size(4, 1), spec.source_size(4, 1)) == (4, 10)
    no_forget = CellSpec.hochreiter1997(cells_per_block=2)
    assert no_forget.rows(4) == {"i": slice(0, 2), "g": slice(2, 6), "o": slice(6, 8), "u": slice(8, 8)}


def test_the_recurrent_source_is_cells_then_conventional_units_then_gates_i_f_o() -> None:
    """One source at a time is 1 and only its own column of R is not 0: the net inputs show which column it meets."""
    spec = CellSpec(gate_recurrence=True, conventional_units=1, unit_squash="identity")
    width, gates = spec.output_size(2), spec.gate_size(2)
    for column in range(width + gates):
        recurrent = torch.zeros(spec.row_count(2), width + gates)
        recurrent[-1, column] = 1.0
        source = torch.zeros(1, width + gates)
        source[0, column] = 1.0
        state = State(source[:, :width], torch.zeros(1, 2), source[:, width:])
        weights = Weights(torch.zeros(spec.row_count(2), 1), recurrent)
        outputs, final = reference.layer(LayerCall(spec, weights, torch.zeros(1, 1, 1), state, None, FULL))
        assert float(outputs[0, 0, -1]) == 1.0
        assert final.gates.tolist() == [[0.5] * 6]


def test_a_bias_for_gates_alone_leaves_cells_and_conventional_units_without() -> None:
    spec = CellSpec(biases="gates", cells_per_block=2, conventional_units=1)
    stored = torch.arange(1.0, 7.0)  # two blocks: i, f, o
    assert unit_bias(spec, stored, 4).tolist() == [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 5.0, 6.0, 0.0]
    assert unit_bias(CellSpec(biases="single"), stored, 4) is stored
    assert unit_bias(spec, None, 4) is None
