"""A batch to time a layer's kernels on, whatever batch somebody has: of seeded random numbers, not of zeros."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from longlag.ops.triton.geometry import Geometry
from longlag.ops.triton.tiles import Kernel, state_type

__all__ = ["SAMPLES", "STEPS", "given"]

STEPS, SAMPLES = 64, 128
"""About a sample for each SM of a large device, and steps enough to hide a launch."""


def _random(like: Tensor) -> Callable[..., Tensor]:
    """Numbers from 0 to 1 of that type and device; a generator of its own leaves everybody else's where they were."""
    generator = torch.Generator(like.device).manual_seed(1997)

    def some(*shape: int, dtype: torch.dtype = like.dtype) -> Tensor:
        return torch.rand(shape, generator=generator, device=like.device).to(dtype)

    return some


def _weights(geo: Geometry, some: Callable[..., Tensor]) -> tuple[Tensor, Tensor | None, Tensor | None]:
    gates = sum(row >= 0 for row in (geo.row_i, geo.row_f, geo.row_o))
    return (
        (some(geo.rows, geo.source) - 0.5) / geo.hidden,
        some(gates, geo.hidden) - 0.5 if geo.peepholes else None,
        (some(geo.columns, geo.hidden) - 0.5) / geo.hidden if geo.projected else None,
    )


def given(kernel: Kernel, geo: Geometry, like: Tensor) -> tuple[Tensor | None, ...]:
    """What run's forward or backward pass takes: tensors of a batch, lengths (none), and the weights."""
    some, wide = _random(like), state_type(like.dtype)
    source, states = some(SAMPLES, geo.width) - 0.5, some(SAMPLES, geo.hidden, dtype=wide)
    if kernel == "forward":
        return some(STEPS, SAMPLES, geo.rows) - 0.5, source, states, None, *_weights(geo, some)
    errors = some(STEPS, SAMPLES, geo.columns + geo.conventional) - 0.5
    kept = some(STEPS, SAMPLES, geo.rows), some(STEPS + 1, SAMPLES, geo.hidden, dtype=wide)
    return errors, source, states, *kept, None, *_weights(geo, some)
