"""The weights and the state of one layer, and the layout both follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from longlag.cell import CellSpec

__all__ = ["State", "Weights", "by_cell", "by_gate", "named_tensors", "unit_bias"]


class Weights(NamedTuple):
    """Weights of one layer and direction. Rows stand in the order of ``CellSpec.rows``.

    input : (rows, I); recurrent : (rows, R); bias : (rows,) or None;
    peephole : (gates, H) or None, gates in the order i, f, o; projection : (P, H) or None.
    """

    input: Tensor
    recurrent: Tensor
    bias: Tensor | None = None
    peephole: Tensor | None = None
    projection: Tensor | None = None


class State(NamedTuple):
    """What a layer carries from step to step.

    output : (B, O) cell outputs (projected if there is a projection), then conventional units;
    cells : (B, H) internal states s; gates : (B, gate units) activations i, f, o, or width 0 without gate recurrence.
    """

    output: Tensor
    cells: Tensor
    gates: Tensor


def named_tensors(tensors: Sequence[Tensor | None]) -> tuple[Tensor, State, Weights]:
    """Return a layer's inputs, state (3) and weights (5), which autograd and operators hold in one flat row."""
    inputs, output, cells, gates, weight_input, weight_recurrent, *others = tensors
    assert inputs is not None and output is not None and cells is not None and gates is not None
    assert weight_input is not None and weight_recurrent is not None
    return inputs, State(output, cells, gates), Weights(weight_input, weight_recurrent, *others)


def by_cell(gate: Tensor, spec: CellSpec) -> Tensor:
    """(B, blocks) -> (B, cells): a block's gate, once for each of its cells."""
    return gate if spec.cells_per_block == 1 else gate.repeat_interleave(spec.cells_per_block, dim=-1)


def by_gate(cells: Tensor, spec: CellSpec) -> Tensor:
    """(B, cells) -> (B, blocks): the sum over the cells of each block. The adjoint of ``by_cell``."""
    return cells if spec.cells_per_block == 1 else cells.unflatten(-1, (-1, spec.cells_per_block)).sum(-1)


def unit_bias(spec: CellSpec, bias: Tensor | None, hidden_size: int) -> Tensor | None:
    """Return a bias for every row. With ``biases="gates"`` the stored vector holds gate units alone; others get 0."""
    if bias is None or spec.biases != "gates":
        return bias
    blocks, before = spec.blocks(hidden_size), len([gate for gate in spec.gates if gate in "if"])
    return torch.cat(
        [
            bias[: before * blocks],
            bias.new_zeros(hidden_size),
            bias[before * blocks :],
            bias.new_zeros(spec.conventional_units),
        ]
    )
