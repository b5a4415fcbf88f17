"""What an engine answers, and how far apart two answers are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from equivalence.specs import LayerCase
from longlag.ops.engine import LayerCall
from longlag.ops.layer import State
from longlag.ops.paths import GradientPaths

EXACT = 1e-10

Layer = Callable[[LayerCall], tuple[Tensor, State]]
"""What an engine runs: a function of one call."""


def distance(found: Iterable[Tensor], expected: Iterable[Tensor]) -> float:
    """The largest difference, relative to the larger of 1 and the largest entry expected; NaN if either has one."""
    pairs = list(zip(found, expected, strict=True))
    for one, other in pairs:
        assert one.shape == other.shape
        assert one.dtype == other.dtype
    if not pairs:
        return 0.0
    apart = torch.cat([(one - other).detach().abs().flatten() for one, other in pairs])
    sizes = torch.cat([other.detach().abs().flatten() for _, other in pairs])
    if not len(apart):
        return 0.0
    return float(apart.max()) / max(1.0, float(sizes.max())) if not math.isnan(float(apart.max())) else math.nan


def answers_and_gradients(engine: Layer, call: LayerCase, paths: GradientPaths) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and final state; then the gradients of inputs, initial state and weights, all outcomes pulled at."""
    leaves = [leaf.detach().requires_grad_() for leaf in call.leaves()]
    given = iter(leaves)
    inputs, state = next(given), State(*(next(given) for _ in call.state))
    weights = type(call.weights)(*(None if weight is None else next(given) for weight in call.weights))
    outputs, final = engine(call.along(paths)._replace(weights=weights, inputs=inputs, state=state))
    pulled = zip((outputs, *final), (call.d_outputs, *call.d_state), strict=True)
    total = sum((value * cotangent).sum() for value, cotangent in pulled)
    return [outputs, *final], list(torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True))
