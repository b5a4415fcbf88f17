"""One call of a layer for each of the cells that have a name."""

from __future__ import annotations

import functools

import torch

from equivalence.compare import answers_and_gradients
from equivalence.specs import LayerCase
from longlag import CellSpec
from longlag.ops import reference
from longlag.ops.layer import State, Weights
from longlag.ops.paths import GradientPaths

CELLS = {
    "plain": CellSpec(),
    "1997": CellSpec.hochreiter1997(cells_per_block=2, conventional_units=1),
    "2013": CellSpec.batch2013(forget_gate=True),
    "peepholes": CellSpec.graves2005(),
    "coupled": CellSpec.coupled(),
}


def example(spec: CellSpec, dtype: torch.dtype = torch.float64) -> LayerCase:
    random = torch.Generator().manual_seed(5)

    def some(*shape: int) -> torch.Tensor:
        return (0.5 * torch.randn(*shape, generator=random, dtype=torch.float64)).to(dtype)

    rows, width = spec.row_count(2), spec.output_size(2)
    gates = spec.gate_size(2) if spec.gate_recurrence else 0
    peephole = some(len(spec.gates), 2) if spec.peepholes else None
    weights = Weights(some(rows, 2), some(rows, spec.source_size(2)), some(rows), peephole)
    state = State(some(2, width), some(2, 2), some(2, gates))
    return LayerCase(spec, weights, some(3, 2, 2), state, torch.tensor([3, 1]), some(3, 2, width), state)


@functools.cache
def of_a_thousand_steps(spec: CellSpec, paths: GradientPaths) -> tuple[LayerCase, tuple[list[torch.Tensor], ...]]:
    """A call of a thousand steps, and the reference's answers and gradients."""
    call, random = example(spec), torch.Generator().manual_seed(0)
    call.inputs = torch.randn(1000, 2, 2, generator=random, dtype=torch.float64)
    call.d_outputs = torch.randn(1000, 2, call.d_outputs.shape[-1], generator=random, dtype=torch.float64)
    call.lengths = torch.tensor([1000, 700])
    return call, answers_and_gradients(reference.layer, call, paths)
