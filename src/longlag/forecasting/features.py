"""What the network reads at a step: the recent past relative to a level, and what simple forecasts would say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longlag.forecasting.units import Unit

__all__ = ["PLAIN", "Design", "filled", "forward_paths", "inputs_of"]

Array = NDArray[np.float64]


PLAIN = 3
"""Columns of every input that say nothing about up or down: the age of the series, its noise, whether it is known."""


@dataclass(frozen=True)
class Design:
    """The shape of a forecasting problem, as plain data.

    Parameters
    ----------
    horizon : int
        Steps ahead, H.
    seasons : tuple of int
        Lengths of the seasons in steps, shortest first; ``(1,)`` where there is none.
    window : int
        Past values that the network reads at each step, beside those a season ago.
    base : int
        The simple forecast that the network corrects: the value of so many steps ago (a season), or the last value (1).
    static : int
        Values that are constant for a series.
    """

    horizon: int
    seasons: tuple[int, ...]
    window: int
    base: int
    static: int = 0

    @property
    def plain(self) -> int:
        """Columns at the end of an input that stay when a series is turned upside down."""
        return PLAIN + self.static

    @property
    def season(self) -> int:
        """The shortest season."""
        return self.seasons[0]

    @property
    def width(self) -> int:
        """Values of one input."""
        return self.window + sum(min(self.horizon, season) for season in self.seasons if season > 1) + 3 + self.plain


def filled(seen: Array) -> tuple[Array, NDArray[np.bool_]]:
    """A series without gaps, and where its values are known: a missing one is the last known, before all the first."""
    known = np.isfinite(seen)
    if known.all():
        return seen, known
    if not known.any():
        return np.zeros_like(seen), known
    last = np.maximum.accumulate(np.where(known, np.arange(len(seen)), -1))
    return seen[np.where(last < 0, int(np.argmax(known)), last)], known


def forward_paths(series: Array, season: int, horizon: int) -> Array:
    """(T, H): after each step t the values of t+1 .. t+H as the same steps of the last whole season had them.

    Where less than a season is known, the value of step t stands for it. ``season`` 1 repeats the last value.
    """
    steps, ahead = np.arange(len(series))[:, None], np.arange(1, horizon + 1)[None, :]
    source = steps + ahead - season * -(-ahead // season)
    paths: Array = series[np.where(source < 0, steps, source)]
    return paths


def inputs_of(
    values: Array, unit: Unit, design: Design, beside: Array | None = None, static: Array | None = None
) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """What the network reads of a series.

    Parameters
    ----------
    values : (T,) the series, NaN where a value is missing.
    beside : (T, K) further columns to read.
    static : (S,) what is constant for the series.

    Returns
    -------
    inputs : (T, F)
        After each step: the last ``window`` values and each season's path ahead relative to the level, which is the
        mean of the last season; the level's change; changes within a season, of this season and the last; the further
        columns; and what says nothing about up or down: the age of the series, its noise, whether the value is known,
        what is constant. Sizes go through
        asinh, which bounds outliers.
    base : (T, H)
        The simple forecast of the next H values, in the unit.
    seen, known : (T,)
        The series in the unit without gaps, and where it had none.
    """
    seen, known = filled(unit.to(values))
    steps, season = len(seen), design.season
    at = np.arange(steps)
    sums = np.concatenate([[0.0], np.cumsum(seen - seen[:1])])
    first = np.maximum(at + 1 - season, 0)
    level = (sums[at + 1] - sums[first]) / (at + 1 - first) + seen[:1]
    a_season_ago = np.maximum(at - season, 0)
    relative = [seen[np.maximum(at[:, None] - np.arange(design.window), 0)] - level[:, None]]
    seasons = (length for length in design.seasons if length > 1)
    relative += [forward_paths(seen, length, min(design.horizon, length)) - level[:, None] for length in seasons]
    change = seen - seen[a_season_ago]
    columns = np.column_stack([*relative, np.diff(level, prepend=level[:1]), change, change[a_season_ago]])
    signed = [np.arcsinh(columns)] if beside is None else [np.arcsinh(columns), beside]
    plain = np.column_stack(
        [
            np.log1p(at) / 5.0,
            np.full(steps, np.log(unit.scale) / 5.0 if unit.logarithm else 0.0),
            known.astype(np.float64),
            *([] if static is None else np.broadcast_to(static[:, None], (len(static), steps))),
        ]
    )
    return np.hstack([*signed, plain]), forward_paths(seen, design.base, design.horizon), seen, known
