"""Which cells the GPU kernels are given, where PyTorch has something for them too. This module does not load Triton."""

from __future__ import annotations

import torch
from torch import Tensor

from longlag.ops.triton import verification

__all__ = ["DTYPES", "beats_cudnn", "suits"]

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
"""What the kernels compute in."""

FASTER_UP_TO: dict[torch.dtype, int] = {}
"""Cells up to which the plain cell was measured to be faster here than in cuDNN, by type; no entry: not measured."""


def suits(inputs: Tensor) -> bool:
    """Return whether "auto" gives the kernels this tensor.

    They take those on a CUDA device, of a type of theirs, and not a tracer's stand-in; "auto" hands them over where a
    launch was seen to succeed, and warns once where none was. So this is called where no other engine comes first.
    """
    return (
        inputs.is_cuda
        and inputs.dtype in DTYPES
        and type(inputs) in (Tensor, torch.nn.Parameter)
        and verification.is_trusted(inputs.device)
    )


def beats_cudnn(inputs: Tensor, hidden: int) -> bool:
    """Return whether the plain cell is known to be faster here than in cuDNN."""
    return hidden <= FASTER_UP_TO.get(inputs.dtype, 0)
