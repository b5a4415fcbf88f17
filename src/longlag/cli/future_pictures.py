"""Pictures of what comes next: the first series with the seasons before, and the forecast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data import Continuation
from longlag.diagnostics.plots import ForecastPath, SeriesPicture

__all__ = ["future_pictures"]

Array = NDArray[np.float64]

_SEASONS = 3  # before the forecast, and at least so many horizons
_LEAST_HISTORY = 40  # values before it
_SERIES = 3  # in a picture


def future_pictures(
    before: Continuation, values: Sequence[Array], seasons: Sequence[int], bands: Array
) -> list[SeriesPicture]:
    """Pictures of the first series.

    Parameters
    ----------
    values : (T_i,) of each series
    bands : (N, H, 3), the lower end of the interval, the median and the upper end of each forecast
    """
    steps = bands.shape[1]
    reach = max(_LEAST_HISTORY, _SEASONS * max(*seasons, steps))
    count = len(before.ids)
    pictures = []
    for number, name in enumerate(before.ids[:_SERIES]):
        shown = values[number][-reach:]
        times, ahead = _times_around(before, number, len(shown), steps)
        lower, median, upper = bands[number].T
        title = name if count <= _SERIES else f"{name} ({number + 1} of {count} series)"
        pictures.append(SeriesPicture(title, times, shown, [ForecastPath(ahead, median, lower, upper)]))
    return pictures


def _times_around(before: Continuation, number: int, past: int, steps: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The times of the last ``past`` values and of the next ``steps``; counted where the series has none."""
    if before.frequency is None or before.roles.time is None:
        return np.arange(1 - past, 1), np.arange(1, steps + 1)
    at = before.frequency.at(before.last[number], np.arange(1 - past, steps + 1))
    return at[:past], at[past:]
