"""The prior: what a synthetic series is made of, and how often."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longlag.synthetic.draws import Array, chance, lognormal, uniform
from longlag.synthetic.noise import changing_size, coloured, white
from longlag.synthetic.processes import autoregression, counts, gaussian_process, random_walk, white_noise
from longlag.synthetic.seasons import nested, season, waves_of_a_year
from longlag.synthetic.trends import breaks, cycle, drift, level, saturated, shifts

__all__ = ["FREQUENCIES", "Frequency", "Prior"]


@dataclass(frozen=True)
class Frequency:
    """How often a series is measured.

    Parameters
    ----------
    name : str
    seasons : tuple of int
        Lengths of seasons in steps, shortest first; () for a season drawn at random.
    years : float or None
        Length of a step; None for one drawn at random.
    seasonal : float
        The share of series that have a season.
    steps, horizon : (int, int)
        Between how many the lengths of series, and how far forecasts reach.
    """

    name: str
    seasons: tuple[int, ...]
    years: float | None
    seasonal: float
    steps: tuple[int, int]
    horizon: tuple[int, int]


FREQUENCIES = {
    one.name: one
    for one in (
        Frequency("yearly", (1,), 1.0, 0.0, (14, 60), (6, 8)),
        Frequency("quarterly", (4,), 0.25, 0.8, (16, 96), (8, 12)),
        Frequency("monthly", (12,), 1 / 12, 0.85, (30, 200), (18, 24)),
        Frequency("weekly", (52,), 7 / 365.25, 0.7, (60, 320), (13, 26)),
        Frequency("daily", (7,), None, 0.7, (30, 300), (14, 30)),
        Frequency("days of years", (7, 365), 1 / 365.25, 0.9, (400, 1100), (30, 60)),
        Frequency("business days", (5,), None, 0.3, (30, 300), (10, 20)),
        Frequency("hourly", (24, 168), None, 0.9, (72, 700), (24, 48)),
        Frequency("hours of a day", (24,), None, 0.9, (60, 300), (24, 48)),
        Frequency("half-hourly", (48, 336), None, 0.9, (150, 1000), (48, 48)),
        Frequency("none", (1,), None, 0.0, (16, 300), (6, 24)),
        Frequency("another season", (), None, 0.9, (30, 300), (8, 32)),
    )
}
"""The frequencies by name."""


@dataclass(frozen=True)
class Prior:
    """Draws series; each ingredient is in so large a share of them.

    ``Prior()`` is what the forecaster in the package was taught. ``without("cycle")`` leaves an ingredient out.

    Parameters
    ----------
    drift, level, cycle, shifts, breaks, saturation, gaussian_process : float
        Shares of slow movements, as ``longlag.synthetic.trends`` has them.
    colour, changing_size, outliers : float
        Shares of kinds of noise and of events in it.
    multiplicative : float
        Share of series in which seasons and noise grow with the level.
    counts, zeros, rounding, gaps : float
        Shares of counted things, of series cut at 0, of rounded ones, and of those with missing values.
    processes : float
        Share of series that are one process and nothing else: random walks, autoregressions, noise.
    heavy : float
        Share of noise that has heavy tails.
    """

    drift: float = 0.95
    level: float = 0.97
    cycle: float = 0.07
    shifts: float = 0.1
    breaks: float = 0.15
    saturation: float = 0.05
    gaussian_process: float = 0.05
    colour: float = 0.4
    changing_size: float = 0.25
    outliers: float = 0.15
    multiplicative: float = 0.7
    counts: float = 0.07
    zeros: float = 0.04
    rounding: float = 0.15
    gaps: float = 0.1
    processes: float = 0.07
    heavy: float = 0.25

    def without(self, *ingredients: str) -> Prior:
        """Return the prior without some ingredients."""
        return dataclasses.replace(self, **dict.fromkeys(ingredients, 0.0))

    def draw(self, rng: np.random.Generator, n: int, steps: int, frequency: Frequency, seasons: Sequence[int]) -> Array:
        """Return (n, steps) series of a frequency with these lengths of seasons; NaN where a value is missing."""
        usual = 1.0 / max(seasons)  # a season of unknown length is like a year, give or take
        years = (
            np.full((n, 1), frequency.years)
            if frequency.years
            else uniform(rng, n, 0.02, 3.0, logarithmic=True) * usual
        )
        if frequency.years is None and max(seasons) == 1:
            years = uniform(rng, n, 0.004, 1.0, logarithmic=True)
        x = self._slow(rng, n, steps, years)
        x = x + self._seasonal(rng, n, steps, frequency, seasons)
        e = self._noise(rng, n, steps, years)
        grown = np.exp(np.clip(x + e, -6.0, 6.0))
        relative = uniform(rng, n, 0.05, 5.0, logarithmic=True)
        y = np.where(chance(rng, n, self.multiplicative), grown, 1.0 + relative * (x + e))
        counted = chance(rng, n, self.counts)
        if counted.any():
            y = np.where(counted, counts(rng, np.exp(np.clip(x, -4.0, 4.0))), y)
        pure = chance(rng, n, self.processes)
        if pure.any():
            y = np.where(pure, self._process(rng, n, steps), y)
        y = self._events(rng, y, e.std(axis=1, keepdims=True))
        cut = chance(rng, n, self.zeros)
        y = np.where(cut, np.maximum(y - np.quantile(y, rng.uniform(0.05, 0.6), axis=1, keepdims=True), 0.0), y)
        size = y.std(axis=1, keepdims=True) + 1e-9
        grain = size * uniform(rng, n, 0.02, 0.5, logarithmic=True)
        y = np.where(chance(rng, n, self.rounding), np.round(y / grain) * grain, y)
        return self._gaps(rng, y)

    def _slow(self, rng: np.random.Generator, n: int, steps: int, years: Array) -> Array:
        total = np.zeros((n, steps))
        for part, share in (
            (level, self.level),
            (drift, self.drift),
            (cycle, self.cycle),
            (shifts, self.shifts),
            (breaks, self.breaks),
        ):
            some = np.flatnonzero(chance(rng, n, share))
            if len(some):
                total[some] += part(rng, len(some), steps, years[some])
        some = np.flatnonzero(chance(rng, n, self.saturation))
        if len(some):
            total[some] += saturated(rng, len(some), steps)
        some = np.flatnonzero(chance(rng, n, self.gaussian_process))
        if len(some):
            total[some] += lognormal(rng, len(some), 0.15, 0.8) * gaussian_process(rng, len(some), steps)
        return total

    def _seasonal(
        self, rng: np.random.Generator, n: int, steps: int, frequency: Frequency, seasons: Sequence[int]
    ) -> Array:
        total = np.zeros((n, steps))
        if max(seasons) == 1:
            return total
        size = lognormal(rng, n, 0.12, 0.9) * chance(rng, n, frequency.seasonal)
        if len(seasons) == 1:
            total += size * season(rng, n, steps, seasons[0])
            return total
        inner, outer = seasons
        if outer % inner == 0:
            both = nested(rng, n, steps, inner, outer) + 0.3 * season(rng, n, steps, inner)
            total += size * np.where(chance(rng, n, 0.75), both, season(rng, n, steps, inner))
        else:
            total += size * chance(rng, n, 0.7) * season(rng, n, steps, inner)
            total += lognormal(rng, n, 0.15, 0.8) * waves_of_a_year(rng, n, steps, outer)
        return total

    def _noise(self, rng: np.random.Generator, n: int, steps: int, years: Array) -> Array:
        largest = np.minimum(0.2, 0.1 * years**-0.28)  # sums of a year are less noisy than those of a month
        size = 0.002 * (largest / 0.002) ** rng.random((n, 1))
        shocks = white(rng, n, steps, self.heavy)
        shocks = np.where(chance(rng, n, self.changing_size), shocks * changing_size(rng, n, steps), shocks)
        noise: Array = size * np.where(chance(rng, n, self.colour), coloured(rng, shocks), shocks)
        return noise

    def _process(self, rng: np.random.Generator, n: int, steps: int) -> Array:
        kind = rng.random((n, 1))
        walk, auto = random_walk(rng, n, steps), autoregression(rng, n, steps)
        smooth = np.where(kind < 0.85, gaussian_process(rng, n, steps), white_noise(rng, n, steps))
        return np.where(kind < 0.55, walk, np.where(kind < 0.75, auto, smooth))

    def _events(self, rng: np.random.Generator, y: Array, noise: Array) -> Array:
        n, steps = y.shape
        rate = uniform(rng, n, 0.003, 0.03) * chance(rng, n, self.outliers)
        size = np.abs(y).mean(axis=1, keepdims=True) * (noise + uniform(rng, n, 0.05, 0.6, logarithmic=True))
        return np.where(rng.random((n, steps)) < rate, y + size * rng.standard_t(3.0, (n, steps)), y)

    def _gaps(self, rng: np.random.Generator, y: Array) -> Array:
        n, steps = y.shape
        lost = rng.random((n, steps)) < uniform(rng, n, 0.01, 0.3, logarithmic=True)
        start, length = uniform(rng, n, 0.1, 0.9) * steps, uniform(rng, n, 0.02, 0.15) * steps
        block = (np.arange(steps) >= start) & (np.arange(steps) < start + length)
        lost = np.where(chance(rng, n, 0.6), lost, block) & chance(rng, n, self.gaps)
        lost[:, :2] = False
        return np.where(lost, np.nan, y)
