"""Which tensors a layer takes: dense ones of real numbers, which hold their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import is_tensor_like

from longlag.errors import InputTypeError, ShapeError

__all__ = ["as_list", "check_loaded", "check_tensor"]


class _NotATensorError(InputTypeError, AttributeError):
    """Something that is no tensor. An AttributeError too, because torch.nn.LSTM raises that."""


def as_list(values: Any) -> Any:
    """Return the numbers of an array or a dense tensor as a list; anything else as it is."""
    dense = isinstance(values, Tensor) and values.layout is torch.strided and not (values.is_nested or values.is_meta)
    return values.tolist() if dense or isinstance(values, np.ndarray) else values


def check_tensor(name: str, value: Any, expected: str = "a Tensor") -> None:
    """Refuse what is not a dense tensor. Its type of numbers is checked elsewhere."""
    if not isinstance(value, Tensor):
        raise _NotATensorError(f"{name} is of type {type(value).__name__}; expected {expected}")
    if value.layout is not torch.strided or value.is_nested:
        kind = "a nested tensor" if value.is_nested else f"of layout {value.layout}"
        raise ShapeError(f"{name} is {kind}; expected a dense Tensor")


def check_loaded(name: str, value: Any, parameter: Tensor) -> None:
    """Refuse what cannot become the numbers of ``parameter``; sizes are compared by PyTorch."""
    if not is_tensor_like(value):
        raise ShapeError(f"{name} is of type {type(value).__name__}; expected a Tensor")
    if not isinstance(value, Tensor):
        return  # it behaves like one and is PyTorch's to copy
    check_tensor(name, value)
    if value.is_meta and not parameter.is_meta:
        raise ShapeError(f"{name} is on the meta device and has no numbers; expected some to load")
    if value.is_quantized or value.dtype.is_complex:
        raise ShapeError(f"{name} has type {value.dtype}; expected real numbers")
