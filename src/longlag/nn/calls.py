"""SequenceCall: how layers and networks are called, for type checkers: a Tensor for a Tensor, packed for packed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast, overload

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longlag.ops.engine import CallOptions
from longlag.ops.paths import GradientPaths

__all__ = ["Lengths", "SequenceCall", "sequence_call"]

Lengths = Tensor | Sequence[int] | None


class SequenceCall(Protocol):
    """A call over whole sequences; see ``LSTM.forward``."""

    @overload
    def __call__(
        self,
        input: Tensor,
        hx: tuple[Tensor, ...] | None = None,
        *,
        lengths: Lengths = None,
        paths: GradientPaths | None = None,
        options: CallOptions | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]: ...

    @overload
    def __call__(
        self,
        input: PackedSequence,
        hx: tuple[Tensor, ...] | None = None,
        *,
        lengths: Lengths = None,
        paths: GradientPaths | None = None,
        options: CallOptions | None = None,
    ) -> tuple[PackedSequence, tuple[Tensor, ...]]: ...


def sequence_call(forward: Callable[..., Any]) -> SequenceCall:
    """Return the method ``forward`` itself; type checkers take it for a SequenceCall, and so for its overloads."""
    return cast(SequenceCall, forward)
