"""Derivatives of a hand-derived gradient: the reference is run again, under autograd."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.ops import reference
from longlag.ops.engine import LayerCall
from longlag.ops.layer import named_tensors
from longlag.ops.paths import GradientPaths

__all__ = ["arriving_errors", "differentiable_gradient", "is_followed"]


def is_followed(grads: Sequence[Tensor | None]) -> bool:
    """Return whether PyTorch must see each operation of a gradient that is being computed from these errors.

    It must where the gradient is differentiated again (``create_graph=True``), and where many are computed at once
    (``is_grads_batched=True``, ``jacobian(vectorize=True)``): such errors are many in one, which no kernel can read.
    """
    if torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
        return True
    is_batched = torch._C._functorch.is_legacy_batchedtensor
    for grad in grads:  # noqa: SIM110  (any() over a generator takes as long as a small layer)
        if grad is not None and is_batched(grad):
            return True
    return False


def arriving_errors(
    results: Sequence[Tensor], grads: Sequence[Tensor | None]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the results that an error arrives at and that lead back to a leaf, and these errors."""
    pairs = [
        (value, grad) for value, grad in zip(results, grads, strict=True) if value.requires_grad and grad is not None
    ]
    return tuple(value for value, _ in pairs), tuple(grad for _, grad in pairs)


@functools.cache
def _say_once() -> None:
    logging.getLogger("longlag").warning(
        "longlag: a gradient is to be differentiated again; that runs on the reference engine, which is slower"
    )


def differentiable_gradient(
    spec: CellSpec,
    lengths: Tensor | None,
    paths: GradientPaths,
    tensors: Sequence[Tensor | None],
    grads: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Return the gradient of one layer with a graph of its own.

    ``tensors`` are inputs, initial state (3) and weights (5); ``grads`` belong to outputs and final state (3), None
    where nothing arrives. Returns one gradient per tensor, None where it needs none. Says once that a gradient is
    differentiated again.
    """
    again = torch.is_grad_enabled()
    if again:
        _say_once()
    with torch.enable_grad():
        # Aliases: an input may have been computed from another one, and each must get its own share only.
        own = [None if tensor is None else tensor.view_as(tensor) for tensor in tensors]
        inputs, state, weights = named_tensors(own)
        outputs, final = reference.layer(LayerCall(spec, weights, inputs, state, lengths, paths))
        wanted = [tensor for tensor in own if tensor is not None and tensor.requires_grad]
        values, errors = arriving_errors((outputs, *final), grads)
        if not values:
            return [None] * len(own)
        gradients = iter(torch.autograd.grad(values, wanted, errors, create_graph=again, allow_unused=True))
    return [next(gradients) if tensor is not None and tensor.requires_grad else None for tensor in own]
