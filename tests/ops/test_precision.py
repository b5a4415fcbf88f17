"""float32 and bfloat16 run, stay in their type, and stay near float64."""

from __future__ import annotations

import pytest
import torch

from equivalence.compare import Layer, distance
from equivalence.engines import BUILT
from longlag.ops import reference, select
from longlag.ops.paths import FULL
from ops.examples import CELLS, example


@pytest.mark.parametrize(
    ("engine", "dtype", "tolerance"),
    [
        pytest.param(select.ENGINES[engine].run, dtype, tolerance, id=f"{engine}-{dtype}")
        for engine in ("reference", "bptt", *BUILT)
        for dtype, tolerance in ((torch.float32, 2e-6), (torch.bfloat16, 0.05))
        if dtype == torch.float32 or engine not in BUILT
    ],
)
@pytest.mark.parametrize("name", CELLS)
def test_lower_precision_runs_and_stays_near(name: str, engine: Layer, dtype: torch.dtype, tolerance: float) -> None:
    exact, rough = example(CELLS[name]), example(CELLS[name], dtype)
    answers = []
    for call, runner in ((exact, reference.layer), (rough, engine)):
        leaves = [leaf.requires_grad_() for leaf in call.leaves()]
        outputs, final = runner(call.along(FULL))
        assert {part.dtype for part in (outputs, *final)} == {call.inputs.dtype}
        gradients = torch.autograd.grad((outputs * call.d_outputs.detach()).sum(), leaves, materialize_grads=True)
        assert {part.dtype for part in gradients} == {call.inputs.dtype}
        answers.append([part.double() for part in (outputs, *final, *gradients)])
    assert distance(answers[1], answers[0]) <= tolerance
