"""A batch to time a layer's kernels on, whatever batch a user has: it holds seeded random numbers, not zeros."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from longlag.ops.triton.geometry import Geometry
from longlag.ops.triton.launch_config import Kernel, state_dtype

__all__ = ["SAMPLES", "STEPS", "dummy_inputs"]

STEPS, SAMPLES = 64, 128
"""About a sample for each SM of a large device, and steps enough to hide a launch."""


def dummy_inputs(kernel: Kernel, geo: Geometry, like: Tensor) -> tuple[Tensor | None, ...]:
    """Return what the forward or the backward pass takes: tensors of a batch, lengths (None), and the weights."""
    uniform, wide = _uniform(like), state_dtype(like.dtype)
    source, states = uniform(SAMPLES, geo.width) - 0.5, uniform(SAMPLES, geo.hidden, dtype=wide)
    if kernel == "forward":
        return uniform(STEPS, SAMPLES, geo.rows) - 0.5, source, states, None, *_weights(geo, uniform)
    d_outputs = uniform(STEPS, SAMPLES, geo.columns + geo.conventional) - 0.5
    tape = uniform(STEPS, SAMPLES, geo.rows), uniform(STEPS + 1, SAMPLES, geo.hidden, dtype=wide)
    return d_outputs, source, states, *tape, None, *_weights(geo, uniform)


def _uniform(like: Tensor) -> Callable[..., Tensor]:
    """Draws numbers from 0 to 1 of that type on that device. Its own generator leaves the user's as it was."""
    generator = torch.Generator(like.device).manual_seed(1997)

    def draw(*shape: int, dtype: torch.dtype = like.dtype) -> Tensor:
        return torch.rand(shape, generator=generator, device=like.device).to(dtype)

    return draw


def _weights(geo: Geometry, uniform: Callable[..., Tensor]) -> tuple[Tensor, Tensor | None, Tensor | None]:
    gates = sum(row >= 0 for row in (geo.row_i, geo.row_f, geo.row_o))
    return (
        (uniform(geo.rows, geo.source) - 0.5) / geo.hidden,
        uniform(gates, geo.hidden) - 0.5 if geo.peepholes else None,
        (uniform(geo.columns, geo.hidden) - 0.5) / geo.hidden if geo.projected else None,
    )
