"""What workers answer: sums over samples, and the one order in which they are added."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Sums", "add", "parent_branch", "split_point", "tree_sum"]


@dataclass(frozen=True)
class Sums:
    """Sums over ``count`` samples: of their losses, of a vector (W,), of a matrix (W, W). None where not requested."""

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
    """Return ``left + right``. Whatever one of them lacks, the sum lacks too."""
    return Sums(
        left.count + right.count,
        None if left.value is None or right.value is None else left.value + right.value,
        None if left.vector is None or right.vector is None else left.vector + right.vector,
        None if left.matrix is None or right.matrix is None else left.matrix + right.matrix,
    )


def split_point(start: int, stop: int) -> int:
    """Return where the sum over chunks start..stop-1 is cut in two: at the largest power of two below their number.

    The tree of a run of 2^k chunks that begins at a multiple of 2^k is therefore a branch of every larger tree: it may
    be added anywhere, and not one bit changes.
    """
    return start + (1 << (stop - start - 1).bit_length() - 1)


def parent_branch(start: int, stop: int, count: int) -> tuple[int, int, int] | None:
    """Return start, cut and stop of the branch that start..stop-1 is a half of, in the tree over ``count`` chunks.

    The whole tree is no half of anything: None.
    """
    parent, low, high = None, 0, count
    while (low, high) != (start, stop):
        middle = split_point(low, high)
        parent = low, middle, high
        low, high = (low, middle) if start < middle else (middle, high)
    return parent


def tree_sum(start: int, stop: int, known: Callable[[int, int], Sums | None]) -> Sums:
    """Return the sum over chunks start..stop-1 in the order of the tree.

    ``known(start, stop)`` gives the sum of a branch, or None where it has to be added up; it has to know every chunk.
    """
    sums = known(start, stop)
    if sums is not None:
        return sums
    middle = split_point(start, stop)
    return add(tree_sum(start, middle, known), tree_sum(middle, stop, known))
