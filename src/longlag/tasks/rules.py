"""When a trial is stopped and counted as solved (1997 paper, sections 5.1-5.6 and Table 11), each rule stated once.

Rules read two numbers per sequence: its largest and its mean error. A sequence is right when its largest error is
strictly below the task's tolerance, the paper's ABS(tolerance); an error that is not a number is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longlag.checks import is_number, whole_number
from longlag.errors import InputError, InputTypeError

__all__ = ["AllStrings", "FreshRun", "RecentRun", "Rule", "TestSet"]


@dataclass(frozen=True, kw_only=True)
class RecentRun:
    """Of the ``window`` most recent training sequences fewer than ``wrong_below`` were wrong.

    With ``mean_error_below`` their mean error is below it too: ST3 of Table 11 (the paper does not say over which
    sequences it averages; here the same window). Without it: the nseq of Table 8.
    """

    window: int = 2000
    wrong_below: int = 1
    mean_error_below: float | None = None

    def __post_init__(self) -> None:
        _check_bounds(self, window=1, wrong_below=1)

    def first_satisfied(self, max_errors: ArrayLike, mean_errors: ArrayLike, tolerance: float) -> int | None:
        """Return how many sequences had been seen when the rule first held; None if it never did.

        ``max_errors``, ``mean_errors``: (n,) in the order of training; the rule needs a full window of them. To read
        the sequences in pieces, put the last ``window - 1`` errors of the previous piece in front of the next one, and
        subtract their number from the result.
        """
        largest, mean = _errors(max_errors, mean_errors)
        if len(largest) < self.window:
            return None
        holds = _sliding_sum(~(largest < tolerance), self.window) < self.wrong_below
        if self.mean_error_below is not None:
            bound = self.window * self.mean_error_below
            # One step that alone breaks the bound is cut to twice the bound: else the rounding error of a huge one,
            # or its being infinite or NaN, would stay in every later running sum.
            cut = np.where(mean < 2 * bound, mean, 2 * bound)
            holds &= _sliding_sum(cut, self.window) < bound
        first = int(holds.argmax())
        return first + self.window if holds[first] else None


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Of ``size`` random test sequences fewer than ``wrong_below`` are wrong: ST1.

    With ``mean_error_below`` the mean error of all of them is below it too: ST2.
    """

    __test__ = False  # pytest takes a class of this name for tests

    size: int = 256
    wrong_below: int = 1
    mean_error_below: float | None = None

    def __post_init__(self) -> None:
        _check_bounds(self, size=1, wrong_below=1)

    def satisfied(self, max_errors: ArrayLike, mean_errors: ArrayLike, tolerance: float) -> bool:
        """Return whether the errors of the test set, (size,) each, meet the rule."""
        largest, mean = _errors(max_errors, mean_errors, self.size)
        few = bool((~(largest < tolerance)).sum() < self.wrong_below)
        return few and (self.mean_error_below is None or bool(mean.mean() < self.mean_error_below))


@dataclass(frozen=True, kw_only=True)
class FreshRun:
    """All of ``size`` successive new random sequences are right (tasks 2a, 2b, 2c)."""

    size: int = 10_000

    def __post_init__(self) -> None:
        _check_bounds(self, size=1)

    def satisfied(self, max_errors: ArrayLike, mean_errors: ArrayLike, tolerance: float) -> bool:
        """Return whether the errors of the new sequences, (size,) each, meet the rule. The mean plays no part."""
        largest, _ = _errors(max_errors, mean_errors, self.size)
        return bool((largest < tolerance).all())


@dataclass(frozen=True)
class AllStrings:
    """Every string of the training set and the test set is right (task 1)."""

    def satisfied(self, max_errors: ArrayLike, mean_errors: ArrayLike, tolerance: float) -> bool:
        """Return whether all strings, training set and test set together, are right. The mean plays no part."""
        largest, _ = _errors(max_errors, mean_errors)
        return len(largest) > 0 and bool((largest < tolerance).all())


Rule = RecentRun | TestSet | FreshRun | AllStrings


def _check_bounds(rule: Any, **least: int) -> None:
    """Make whole numbers ints of Python; refuse those below ``least``, and a mean error that is not positive."""
    for name, bound in least.items():
        object.__setattr__(rule, name, whole_number(name, getattr(rule, name), bound))
    mean_error_below = getattr(rule, "mean_error_below", None)
    if mean_error_below is not None and not (is_number(mean_error_below) and mean_error_below > 0):
        raise InputError(f"mean_error_below is {mean_error_below!r}; expected a positive number or None")


def _errors(
    max_errors: ArrayLike, mean_errors: ArrayLike, size: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both kinds of errors as arrays (size,), or of any one length where ``size`` is None."""
    try:
        # float64: an error in float32 would be compared with a tolerance that is rounded too.
        largest, mean = np.asarray(max_errors, dtype=np.float64), np.asarray(mean_errors, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputTypeError(
            f"errors are of types {type(max_errors).__name__} and {type(mean_errors).__name__}; expected numbers"
        ) from None
    shape = (len(largest) if largest.ndim else 0,) if size is None else (size,)
    if largest.shape != shape or mean.shape != shape:
        count = "sequences" if size is None else size
        raise InputError(f"errors have shapes {largest.shape} and {mean.shape}; expected ({count},) twice")
    return largest, mean


def _sliding_sum(values: NDArray[Any], window: int) -> NDArray[Any]:
    """Return the sums over each run of ``window`` values, (n - window + 1,)."""
    sums = np.concatenate([np.zeros(1, dtype=values.dtype), np.cumsum(values)])
    return np.asarray(sums[window:] - sums[:-window])
