"""torch.optim's optimisers as they run without torch's compiler, whose import takes longer than a small training.

PyTorch wraps some methods of an optimiser so that ``torch.compile`` leaves them alone, and imports the compiler at
their first call, whether anything is compiled or not. Here the same methods run without their wrappers: the numbers,
the state and the hooks are torch's own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch

__all__ = ["SGD", "Adam", "AdamW"]


def _unwrapped(method: Callable[..., Any]) -> Callable[..., Any]:
    """A bound method without what decorators have put around it (``functools.wraps`` says what is inside)."""
    assert isinstance(method, MethodType)
    return MethodType(inspect.unwrap(method.__func__), method.__self__)


class _Eager(torch.optim.Optimizer):
    """The wrapped methods of torch.optim.Optimizer, without their wrappers."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        _unwrapped(super().add_param_group)(param_group)

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = _unwrapped(super().state_dict)()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        _unwrapped(super().load_state_dict)(state_dict)

    def zero_grad(self, set_to_none: bool = True) -> None:
        _unwrapped(super().zero_grad)(set_to_none)

    @torch.no_grad()  # the wrapper's other duty
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss: float | None = _unwrapped(super().step)(closure)
        return loss


class SGD(_Eager, torch.optim.SGD):
    """torch.optim.SGD."""


class Adam(_Eager, torch.optim.Adam):
    """torch.optim.Adam."""


class AdamW(_Eager, torch.optim.AdamW):
    """torch.optim.AdamW."""
