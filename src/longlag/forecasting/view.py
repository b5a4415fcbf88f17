"""A series, the columns beside it, and how the network sees both."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from longlag.forecasting.effects import known_effects
from longlag.forecasting.examples import Seen
from longlag.forecasting.features import Design
from longlag.forecasting.units import Unit, usual_change

__all__ = ["SeriesData", "View", "input_width", "known_steps"]

Array = NDArray[np.float64]
_FARTHEST = 10.0  # ranges of a series
_KNOWN_VALUES = 128  # of columns known in the future, that one input holds at most


@dataclass(frozen=True, eq=False)
class SeriesData:
    """One series and what stands beside it.

    Parameters
    ----------
    values : (T,)
        NaN where a value is missing.
    known : (T or more, K)
        Columns known in the future, as far as they are known.
    past : (T, P)
        Columns whose future nobody knows.
    static : (S,)
        What is constant for the series; comparable between series.
    """

    values: Array
    known: Array
    past: Array
    static: Array

    @classmethod
    def of(
        cls,
        values: Array,
        known: Array | None = None,
        past: Array | None = None,
        static: Array | None = None,
    ) -> Self:
        """A series with the columns that there are."""
        nothing = np.empty((len(values), 0))
        return cls(
            values,
            nothing if known is None else known,
            nothing if past is None else past,
            np.empty(0) if static is None else static,
        )

    def __len__(self) -> int:
        """Steps."""
        return len(self.values)

    def followed_by(self, more: SeriesData) -> SeriesData:
        """This series and then ``more`` of it."""
        return SeriesData(
            np.concatenate([self.values, more.values]),
            np.concatenate([self.known[: len(self)], more.known]),
            np.concatenate([self.past, more.past]),
            self.static,
        )

    def after_gap(self, steps: int) -> SeriesData:
        """This series behind ``steps`` of which nothing is known."""
        if not steps:
            return self
        known, past = np.repeat(self.known[:1], steps, axis=0), np.full((steps, self.past.shape[1]), np.nan)
        return SeriesData(
            np.concatenate([np.full(steps, np.nan), self.values]),
            np.concatenate([known, self.known]),
            np.concatenate([past, self.past]),
            self.static,
        )

    def until(self, step: int) -> SeriesData:
        """The values before ``step``, with all that is known of the future."""
        return SeriesData(self.values[:step], self.known, self.past[:step], self.static)

    def knowing(self, future: Array) -> SeriesData:
        """This series with the known columns (H, K) of the steps after it."""
        return SeriesData(self.values, np.concatenate([self.known[: len(self)], future]), self.past, self.static)


@dataclass(frozen=True, eq=False)
class View:
    """How one series is seen: measured on what it is learned from, and kept.

    Parameters
    ----------
    unit : Unit
    effects : (K,)
        Of the known columns on the series in the unit.
    known_mean, known_scale : (K,)
    past_mean, past_scale : (P,)
    """

    unit: Unit
    effects: Array
    known_mean: Array
    known_scale: Array
    past_mean: Array
    past_scale: Array

    @classmethod
    def of(cls, data: SeriesData, season: int) -> Self:
        """Measure a series."""
        steps = len(data)
        unit, known, past = Unit.of(data.values, season), data.known[:steps], data.past
        known_mean, known_scale = _moments(known)
        effects = np.zeros(known.shape[1])
        if known.shape[1]:
            seen = unit.to(data.values)
            effects = known_effects(seen, (known - known_mean) / known_scale, season)
            rest = seen - ((known - known_mean) / known_scale) @ effects
            scale = usual_change(rest, season)
            unit, effects = dataclasses.replace(unit, scale=unit.scale * scale), effects / scale
        return cls(unit, effects, known_mean, known_scale, *_moments(past))

    def known_part(self, data: SeriesData) -> Array:
        """What the known columns explain of the series in the unit; (T or more,)."""
        part: Array = ((data.known - self.known_mean) / self.known_scale) @ self.effects
        return part

    def adjusted(self, data: SeriesData) -> Array:
        """The series (T,) without what its known columns explain."""
        if not len(self.effects):
            return data.values
        unit = dataclasses.replace(self.unit, floor=-np.inf)
        rest: Array = unit.back(unit.to(data.values) - self.known_part(data)[: len(data)])
        return rest

    def seen(self, data: SeriesData, design: Design) -> Seen:
        """The series as the network reads it."""
        beside = np.hstack([self._ahead(data, design), self._past(data)])
        unit = dataclasses.replace(self.unit, floor=-np.inf)
        return Seen.of(self.adjusted(data), unit, design, beside if beside.shape[1] else None, data.static)

    def highest(self, data: SeriesData) -> float:
        """The highest value of a forecast after a series, in the unit: of logarithms ten times its range above it.

        A line that goes on in logarithms soon is at numbers that nobody would believe.
        """
        values = self.adjusted(data)
        values = values[np.isfinite(values)]
        if not self.unit.logarithm or not len(values):
            return np.inf
        high = float(values.max())
        return float(self.unit.to(np.array([high + _FARTHEST * (high - float(values.min()))]))[0])

    def explained(self, data: SeriesData, origin: int, horizon: int) -> Array:
        """What known columns add to the forecasts of ``origin`` and the steps after it, in the unit; (H,)."""
        if not len(self.effects):
            return np.zeros(horizon)
        part = self.known_part(data)
        ahead: Array = part[np.minimum(np.arange(origin, origin + horizon), len(part) - 1)]
        return ahead

    def _ahead(self, data: SeriesData, design: Design) -> Array:
        """(T, K * steps): the known columns of the next steps; beyond what is known the last row stands."""
        columns = data.known.shape[1]
        if not columns:
            return np.empty((len(data), 0))
        reach = known_steps(design, columns)
        at = np.minimum(np.arange(len(data))[:, None] + np.arange(1, reach + 1), len(data.known) - 1)
        ahead: Array = np.arcsinh(((data.known - self.known_mean) / self.known_scale)[at].reshape(len(data), -1))
        return ahead

    def _past(self, data: SeriesData) -> Array:
        """(T, 2 P): each past column and its change; a missing value is the last known."""
        values = (data.past - self.past_mean) / self.past_scale
        for column in values.T:
            gaps = ~np.isfinite(column)
            if gaps.any():
                last = np.maximum.accumulate(np.where(gaps, 0, np.arange(len(column))))
                column[:] = np.where(np.isfinite(column[last]), column[last], 0.0)
        both: Array = np.arcsinh(np.hstack([values, np.diff(values, axis=0, prepend=values[:1])]))
        return both


def known_steps(design: Design, columns: int) -> int:
    """How many steps ahead a network sees so many known columns."""
    return max(1, min(design.horizon, _KNOWN_VALUES // columns))


def input_width(design: Design, known: int, past: int) -> int:
    """Values of one input beside so many columns."""
    return design.width + (known * known_steps(design, known) if known else 0) + 2 * past


def _moments(columns: Array) -> tuple[Array, Array]:
    if not len(columns):
        return np.zeros(columns.shape[1]), np.ones(columns.shape[1])
    known = np.isfinite(columns)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, columns, 0.0).sum(axis=0) / counts
    deviation = np.sqrt(np.square(np.where(known, columns - mean, 0.0)).sum(axis=0) / counts)
    return mean, np.where(deviation > 0, deviation, 1.0)
