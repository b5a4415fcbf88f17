"""Second derivatives: those of the reference are right, and the hand-derived engine has the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from equivalence.compare import Layer, distance
from equivalence.specs import PATHS
from longlag.ops import bptt, reference
from longlag.ops.paths import FULL, GradientPaths
from ops.examples import CELLS, example


@pytest.mark.costly
@pytest.mark.parametrize("engine", [reference.layer, bptt.layer], ids=["reference", "bptt"])
@pytest.mark.parametrize("name", CELLS)
def test_second_derivatives_are_the_slopes_of_the_first(name: str, engine: Layer) -> None:
    call = example(CELLS[name])
    leaves = [leaf.requires_grad_() for leaf in call.leaves() if leaf.numel()]

    def results(*_: Tensor) -> tuple[Tensor, ...]:
        outputs, final = engine(call.along(FULL))
        return (outputs, *(part for part in final if part.numel()))

    assert torch.autograd.gradgradcheck(results, leaves)


@pytest.mark.parametrize("paths", PATHS, ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_both_engines_have_the_same_second_derivatives_along_any_paths(name: str, paths: GradientPaths) -> None:
    """A cut gradient is not the slope of its function: for it, the reference alone says what is right."""
    found = []
    for engine in (reference.layer, bptt.layer):
        call = example(CELLS[name])
        leaves = [leaf.requires_grad_() for leaf in call.leaves()]
        outputs, _ = engine(call.along(paths))
        first = torch.autograd.grad((outputs * call.d_outputs).sum(), leaves, create_graph=True, materialize_grads=True)
        squares = sum(part.square().sum() for part in first)
        found.append([*first, *torch.autograd.grad(squares, leaves, materialize_grads=True)])
    assert distance(found[1], found[0]) <= 1e-10
