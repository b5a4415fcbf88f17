"""What somebody wants of the kernels' passes beyond their answers: gradients by sample, or no pass computed twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

__all__ = ["FORWARDS", "NOTED", "Forwards", "Noted", "each_sample", "remembering"]

Noted = list[tuple[Tensor, Tensor]]
NOTED: ContextVar[Noted | None] = ContextVar("longlag.each_sample", default=None)


@contextmanager
def each_sample() -> Iterator[Noted]:
    """Backward passes inside note, for every weight tensor that a layer took, its gradient sample by sample (B, ...).

    Autograd then gets none for the weights; errors of inputs and states go on as ever.
    """
    noted: Noted = []
    token = NOTED.set(noted)
    try:
        yield noted
    finally:
        NOTED.reset(token)


class Forwards:
    """What the forward passes of some calls have computed, tapes included, in their order."""

    def __init__(self) -> None:
        self.found: list[tuple[Tensor, ...]] = []
        self.place = 0

    def next(self, compute: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """The next call's, computed if it is the first time."""
        if self.place == len(self.found):
            self.found.append(compute())
        self.place += 1
        return tuple(tensor.detach() for tensor in self.found[self.place - 1])  # autograd wants them without a past


FORWARDS: ContextVar[Forwards | None] = ContextVar("longlag.forwards", default=None)


@contextmanager
def remembering(forwards: Forwards) -> Iterator[None]:
    """Calls inside answer what the same calls have answered before, and compute no forward pass again.

    Whoever repeats them sees to it that they are the same: same order, same inputs, same weights.
    """
    forwards.place = 0
    token = FORWARDS.set(forwards)
    try:
        yield
    finally:
        FORWARDS.reset(token)
