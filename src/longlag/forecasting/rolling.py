"""Rolling origins: at which steps of a series forecasts are made to see how good they would have been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longlag.forecasting.features import Design, filled
from longlag.forecasting.simple import SIMPLE
from longlag.forecasting.units import Unit

__all__ = ["Origins", "held_out_steps", "simple_forecast", "truths"]

Array = NDArray[np.float64]

_LEAST_TRAINING = 5  # steps before the first origin
_ONE_SERIES, _MANY = 12, 400  # origins of a series alone; of all series together, roughly


@dataclass(frozen=True)
class Origins:
    """Where forecasts begin: number ``series[k]`` is forecast from step ``steps[k]`` on; (n,) each.

    independent : float, how many of them do not share what they forecast.
    """

    series: NDArray[np.int64]
    steps: NDArray[np.int64]
    independent: float

    @classmethod
    def before_the_end(cls, lengths: Sequence[int], held_out: Sequence[int], horizon: int) -> Origins:
        """Spread origins over the last ``held_out`` steps of each series; none where that is 0."""
        each = max(1, min(_ONE_SERIES, _MANY // max(len(lengths), 1)))
        series, steps, independent = [], [], 0.0
        for number, (length, part) in enumerate(zip(lengths, held_out, strict=True)):
            if not part:
                continue
            count = min(each, part)
            # The last origins see the end of the series before the horizon's: their far steps have no truth.
            spread = np.unique(np.linspace(length - part, max(length - part, length - max(horizon // 2, 1)), count))
            at = np.unique(spread.astype(np.int64))
            series += [number] * len(at)
            steps += at.tolist()
            independent += min(len(at), max(1.0, 1.5 * part / horizon))
        return cls(np.array(series, dtype=np.int64), np.array(steps, dtype=np.int64), independent)

    def __len__(self) -> int:
        """Forecasts."""
        return len(self.steps)


def held_out_steps(lengths: Sequence[int], share: float, horizon: int) -> list[int]:
    """How many steps at the end of each series decide; 0 for a series that has none to spare.

    A share of the series, but a horizon where a third of the series is that long.
    """
    parts = []
    for length in lengths:
        part = max(int(length * share), min(horizon, length // 3)) if share else 0
        parts.append(max(0, min(part, length - _LEAST_TRAINING)))
    return parts


def truths(seen: Array, known: NDArray[np.bool_], origin: int, horizon: int) -> Array:
    """(H,) what came from ``origin`` on, NaN where nothing is known, and all NaN where nothing was known before."""
    truth = np.full(horizon, np.nan)
    if not known[:origin].any():
        return truth
    part = np.where(known, seen, np.nan)[origin : origin + horizon]
    truth[: len(part)] = part
    return truth


def simple_forecast(name: str, values: Array, unit: Unit, design: Design) -> Array:
    """A simple method's forecast of what follows ``values`` (T,), in the unit; (H,).

    What cannot be computed is the last value. No forecast is further from what has been than twice its range.
    """
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(design.horizon)
    past = filled(values[int(np.argmax(known)) :])[0]
    method = SIMPLE[name]
    answer = np.full(design.horizon, np.nan)
    low, high = float(past.min()), float(past.max())
    if method.needs(len(past), design.seasons) and high > low:
        try:
            answer = method.forecast(past, design.seasons, design.horizon)
        except (ValueError, np.linalg.LinAlgError, ZeroDivisionError, FloatingPointError):
            answer = np.full(design.horizon, np.nan)  # statsmodels' own way of saying that a series has nothing to fit
    answer = np.where(np.isfinite(answer), answer, past[-1])
    reach = 2.0 * (high - low)
    lowest = max(low - reach, low / 10.0) if unit.logarithm else low - reach
    return unit.to(np.clip(answer, lowest, high + reach))
