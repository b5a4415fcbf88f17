"""What the options of a layer may be: flags, a probability, a gradient, a type of numbers, a device."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import torch

from longlag.checks import is_number
from longlag.errors import InputError, InputTypeError
from longlag.ops.paths import FULL, TRUNCATED, GradientPaths

__all__ = ["PATHS", "Gradient", "check_device", "check_dropout", "check_dtype", "check_flag", "check_gradient"]

Gradient = Literal["full", "truncated"]

PATHS: dict[str, GradientPaths] = {"full": FULL, "truncated": TRUNCATED}
"""The paths of the error that a layer's ``gradient`` stands for."""

REAL_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_flag(name: str, value: Any) -> None:
    """Refuse what is not a bool, in torch.nn.LSTM's words."""
    if not isinstance(value, bool):
        raise InputTypeError(f"{name} should be of type bool, got: {type(value).__name__}")


def check_dropout(dropout: Any, num_layers: int) -> None:
    """Refuse what is not a probability; warn, as torch.nn.LSTM does, where there is no layer to drop outputs of."""
    if not is_number(dropout) or not 0 <= dropout <= 1:
        raise InputError(f"dropout is {dropout!r}; expected a probability between 0 and 1")
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
            f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=3,
        )


def check_gradient(gradient: Any) -> None:
    """Refuse what is not the name of a gradient that a layer computes by itself."""
    if not isinstance(gradient, str) or gradient not in PATHS:
        raise InputError(
            f"gradient is {gradient!r}; a layer knows {', '.join(PATHS)}; tbptt and rtrl are engines of "
            "longlag.gradients"
        )


def check_dtype(dtype: Any) -> None:
    """Refuse what is not a type of real numbers that a layer computes with; None is PyTorch's default type."""
    if dtype is not None and (not isinstance(dtype, torch.dtype) or dtype not in REAL_TYPES):
        raise InputTypeError(f"dtype is {dtype!r}; expected {', '.join(map(str, REAL_TYPES))}")


def check_device(device: Any) -> None:
    """Refuse what does not name a device of PyTorch; None is its default device."""
    if device is None:
        return
    try:
        if isinstance(device, bool):
            raise TypeError
        torch.device(device)
    except (RuntimeError, TypeError, ValueError):
        raise InputError(f"device is {device!r}; expected one of PyTorch's, such as 'cpu' or 'cuda:0'") from None
