"""Calls of a layer for the GPU kernels, on any device and in any type, and what they have to answer."""

from __future__ import annotations

import dataclasses
import functools

import torch
from torch import Tensor

from equivalence.compare import EXACT, Layer, answers_and_gradients, distance
from equivalence.specs import LayerCase
from longlag import CellSpec
from longlag.ops import reference
from longlag.ops.layer import State, Weights
from longlag.ops.paths import GradientPaths
from longlag.ops.triton.layer import layer

ROUNDING = {torch.float64: EXACT, torch.float32: 2e-5, torch.bfloat16: 0.05, torch.float16: 0.01}
"""Largest difference from the definition in float64, relative to the larger of 1 and the largest entry expected."""


def moved(call: LayerCase, device: str, dtype: torch.dtype) -> LayerCase:
    """The same call on a device, in another type."""

    def there(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(device, dtype)

    weights, state, d_state = (kind._make(map(there, kind)) for kind in (call.weights, call.state, call.d_state))
    lengths = None if call.lengths is None else call.lengths.to(device)
    return dataclasses.replace(
        call,
        weights=weights,
        inputs=there(call.inputs),
        state=state,
        lengths=lengths,
        d_outputs=there(call.d_outputs),
        d_state=d_state,
    )


def assert_equal_to_the_reference(
    call: LayerCase,
    paths: GradientPaths,
    device: str,
    dtype: torch.dtype = torch.float64,
    *,
    resident: bool | None = None,
) -> None:
    """Outputs, final state and every gradient, from numbers that ``dtype`` has exactly."""
    call = moved(call, "cpu", dtype)
    expected = answers_and_gradients(reference.layer, moved(call, "cpu", torch.float64), paths)
    engine: Layer = functools.partial(layer, resident=resident)
    found = answers_and_gradients(engine, moved(call, device, dtype), paths)
    for ours, theirs in zip(found, expected, strict=True):
        assert distance([one.double().cpu() for one in ours], theirs) <= ROUNDING[dtype]


def a_call(
    spec: CellSpec,
    *,
    steps: int = 3,
    samples: int = 2,
    inputs: int = 2,
    hidden: int = 4,
    projection: int = 0,
    lengths: list[int] | None = None,
    size: float = 0.4,
) -> LayerCase:
    random = torch.Generator().manual_seed(1997)

    def some(*shape: int) -> Tensor:
        return size * torch.randn(*shape, generator=random, dtype=torch.float64)

    rows, width = spec.row_count(hidden), spec.output_size(hidden, projection)
    gates = spec.gate_size(hidden) if spec.gate_recurrence else 0
    weights = Weights(
        some(rows, inputs),
        some(rows, spec.source_size(hidden, projection)),
        some(rows),
        some(len(spec.gates), hidden) if spec.peepholes else None,
        some(projection, hidden) if projection else None,
    )
    states = [State(some(samples, width), some(samples, hidden), some(samples, gates)) for _ in range(2)]
    ragged = None if lengths is None else torch.tensor(lengths)
    d_outputs = some(steps, samples, width)
    return LayerCase(spec, weights, some(steps, samples, inputs), states[0], ragged, d_outputs, states[1])
