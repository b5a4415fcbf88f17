"""Backtest: forecasts from many origins beside what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Backtest"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Backtest:
    """Forecasts from many origins beside what happened; all (n, horizon, K), in the series' unit.

    All are NaN where nothing of the series is known before the origin.

    origins : (n,) the first forecast time of each; truth, mean, lower, upper : values; coverage : of the interval.
    mean : the forecast, a median. methods : forecasts of simple methods that were asked for, by name.
    series : (n,) the number of the series of each; 0 for series side by side, which are the K.
    """

    origins: NDArray[np.int64]
    truth: Array
    mean: Array
    lower: Array
    upper: Array
    coverage: float
    methods: Mapping[str, Array] = field(default_factory=dict)
    series: NDArray[np.int64] | None = None
