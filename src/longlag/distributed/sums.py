"""What workers answer: sums over samples, and the one order in which they are added."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Sums", "above", "add", "added", "halves"]


@dataclass(frozen=True)
class Sums:
    """Over ``count`` samples: of their losses, of a vector (W,), of a matrix (W, W). What was not asked for is None."""

    count: int
    value: float | None = None
    vector: Tensor | None = None
    matrix: Tensor | None = None

    @property
    def finite(self) -> bool:
        """Whether no number is NaN or infinite."""
        tensors = [tensor for tensor in (self.vector, self.matrix) if tensor is not None]
        return math.isfinite(self.value or 0.0) and all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def add(left: Sums, right: Sums) -> Sums:
    """Their sum. A part that one of them lacks, the sum lacks too."""
    return Sums(
        left.count + right.count,
        None if left.value is None or right.value is None else left.value + right.value,
        None if left.vector is None or right.vector is None else left.vector + right.vector,
        None if left.matrix is None or right.matrix is None else left.matrix + right.matrix,
    )


def halves(start: int, stop: int) -> int:
    """Where the sum over chunks start..stop-1 is cut in two: at the largest power of two below their number.

    The tree of a run of 2^k chunks that begins at a multiple of 2^k is therefore a branch of every larger tree: it may
    be added anywhere, and not one bit changes.
    """
    return start + (1 << (stop - start - 1).bit_length() - 1)


def above(start: int, stop: int, count: int) -> tuple[int, int, int] | None:
    """The branch that start..stop-1 is a half of, in the tree over ``count`` chunks: its start, cut and stop.

    None for the whole tree, which is no half of anything.
    """
    found, low, high = None, 0, count
    while (low, high) != (start, stop):
        middle = halves(low, high)
        found = low, middle, high
        low, high = (low, middle) if start < middle else (middle, high)
    return found


def added(start: int, stop: int, find: Callable[[int, int], Sums | None]) -> Sums:
    """The sum over chunks start..stop-1 in the order of the tree; ``find`` knows branches, and all leaves."""
    found = find(start, stop)
    if found is not None:
        return found
    middle = halves(start, stop)
    return add(added(start, middle, find), added(middle, stop, find))
