"""Tensors as one flat vector, in order: how optimisers see the parameters of a network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["assign", "flattened", "parts_of"]


def flattened(tensors: Sequence[Tensor]) -> Tensor:
    """Return a new vector (W,) of the tensors' entries, each tensor after the other."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def parts_of(vector: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the parts of ``vector`` (W,) that belong to the tensors, as views of their shapes."""
    parts = vector.split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]


@torch.no_grad()
def assign(tensors: Sequence[Tensor], vector: Tensor) -> None:
    """Set the tensors to the parts of ``vector`` (W,)."""
    for tensor, part in zip(tensors, parts_of(vector, tensors), strict=True):
        tensor.copy_(part)
