"""The unit in which a network sees a series: free of its scale, so that one network serves all series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Unit", "usual_change"]

Array = NDArray[np.float64]

_LEAST_SHARE = 0.02
"""Logarithms are taken only where the least value is at least so much of the median: nearer to zero they explode."""
_LEAST_CHANGE = 1e-9
"""Changes that are a smaller share of the values than this are rounding, not changes."""
_LARGEST_EXPONENT = 600.0  # e**600 is a float64, and so is its square root times anything that a series holds


@dataclass(frozen=True)
class Unit:
    """A change of unit: ``z = log(y) / scale`` for positive series, ``z = y / scale`` for others.

    In this unit the usual change of a series within a season is 1, whatever it counts. Forecasts of a series that was
    never negative are not negative either.

    Parameters
    ----------
    logarithm : bool
        Whether logarithms are taken.
    scale : float
        The mean size of the changes from season to season, of the logarithms or of the values.
    floor : float
        The least value that a forecast may have.
    """

    logarithm: bool
    scale: float
    floor: float

    @classmethod
    def of(cls, values: Array, season: int) -> Self:
        """The unit of a series (T,), NaN where a value is missing; ``season`` in steps, 1 for none."""
        known = values[np.isfinite(values)]
        if not len(known):
            return cls(False, 1.0, -np.inf)
        low = float(known.min())
        logarithm = low > 0 and low > _LEAST_SHARE * float(np.median(known))
        with np.errstate(invalid="ignore"):
            seen = np.log(values) if logarithm else values
        return cls(logarithm, usual_change(seen, season), 0.0 if low >= 0 else -np.inf)

    def to(self, values: Array) -> Array:
        """Values of the series in this unit; NaN stays NaN. A value that has no logarithm counts as the least one."""
        if not self.logarithm:
            return values / self.scale
        with np.errstate(divide="ignore", invalid="ignore"):
            return (
                np.where(values > 0, np.log(values), np.where(np.isnan(values), np.nan, -_LARGEST_EXPONENT))
                / self.scale
            )

    def back(self, seen: Array) -> Array:
        """The inverse of ``to``, not below the floor."""
        values = seen * self.scale
        if self.logarithm:
            values = np.exp(np.clip(values, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))
        return np.maximum(values, self.floor)


def usual_change(values: Array, season: int) -> float:
    """The mean size of the changes of a series (T,) within a season, else from step to step.

    Changes that are no more than rounding of the values count as none: a constant series has the size of its rounding,
    and so intervals of no width that anybody could see.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return 1.0
    largest = float(np.abs(known).max()) or _LEAST_CHANGE  # zeros have no size of their own
    least = max(_LEAST_CHANGE * largest, float(np.finfo(np.float64).tiny))
    for lag in (season, 1):
        changes = np.abs(values[lag:] - values[:-lag]) if len(values) > lag else values[:0]
        changes = changes[np.isfinite(changes)]
        if len(changes) and float(changes.mean()) > least:
            return float(changes.mean())
    return least
