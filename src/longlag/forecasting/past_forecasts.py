"""Past forecasts and what came of them: they decide how much each method counts, and how wide intervals are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longlag.forecasting.combination import weights_of
from longlag.forecasting.intervals import QUANTILES, normal_scores

__all__ = ["LATEST", "PastForecasts"]

Array = NDArray[np.float64]

LATEST = 12
"""Forecasts of one series that count: earlier ones tell of other times."""
_MOST = 5.0  # independent forecasts that many series have between them: all series of a table had the same years
_ROWS = ("series", "steps", "truth", "forecasts", "quantiles", "independent")


@dataclass(frozen=True, eq=False)
class PastForecasts:
    """Forecasts whose truth is known, at least in part, in the unit of each series; in the order of their steps.

    Parameters
    ----------
    names : (K,)
        Of the methods; those of ``combination.PRIOR``.
    series, steps : (n,)
        The number of the series, and the step from which it was forecast.
    truth : (n, H)
        NaN where it is not known.
    forecasts : (n, K, H)
        By each method.
    quantiles : (n, H, Q)
        Those of the networks.
    independent : (n,)
        The share of each forecast that its neighbours do not tell too.
    """

    names: Sequence[str]
    series: NDArray[np.int64]
    steps: NDArray[np.int64]
    truth: Array
    forecasts: Array
    quantiles: Array
    independent: Array

    @classmethod
    def none(cls, names: Sequence[str], horizon: int) -> PastForecasts:
        """No forecasts by these methods."""
        nothing = np.empty(0, dtype=np.int64)
        paths = np.empty((0, len(names), horizon))
        quantiles = np.empty((0, horizon, len(QUANTILES)))
        return cls(names, nothing, nothing, np.empty((0, horizon)), paths, quantiles, np.empty(0))

    def __len__(self) -> int:
        """Forecasts."""
        return len(self.steps)

    @property
    def horizon(self) -> int:
        """Steps ahead, H."""
        return int(self.truth.shape[1])

    def weights(self) -> dict[str, float]:
        """The share of each method in the answer."""
        one_series = np.bincount(self.series, self.independent).max(initial=0.0)
        independent = min(float(self.independent.sum()), max(_MOST, float(one_series)))
        return weights_of(self.truth, self.methods(), independent)

    def answer(self, weights: Mapping[str, float]) -> Array:
        """(n, H) the weighted mean of the methods."""
        methods = self.methods()
        return sum((share * methods[name] for name, share in weights.items()), np.zeros_like(self.truth))

    def scores(self, weights: Mapping[str, float]) -> Array:
        """(n, H) the standard normal scores at which the quantiles, moved to the answer, reach the truth."""
        moved = self.answer(weights) - self.quantiles[..., len(QUANTILES) // 2]
        return normal_scores(self.truth, self.quantiles + moved[..., None])

    def by(self, names: Sequence[str]) -> PastForecasts:
        """The same forecasts by some of the methods."""
        columns = [self.names.index(name) for name in names]
        return dataclasses.replace(self, names=names, forecasts=self.forecasts[:, columns])

    def followed_by(self, later: PastForecasts) -> PastForecasts:
        """These forecasts and later ones of some series, of each of which the last ``LATEST`` stay."""
        both = {name: np.concatenate([getattr(self, name), getattr(later, name)]) for name in _ROWS}
        stay = np.ones(len(both["series"]), dtype=bool)
        for number in np.unique(later.series):
            stay[np.flatnonzero(both["series"] == number)[:-LATEST]] = False
        return PastForecasts(self.names, **{name: values[stay] for name, values in both.items()})

    def since(self, steps: NDArray[np.int64]) -> PastForecasts:
        """Those forecasts that begin at or after a step of their series; ``steps`` (N,) has one for each series."""
        late = self.steps >= steps[self.series]
        return PastForecasts(self.names, **{name: getattr(self, name)[late] for name in _ROWS})

    def until(self, step: int) -> PastForecasts:
        """The same forecasts with the truth before a step."""
        later = self.steps[:, None] + np.arange(self.truth.shape[1]) >= step
        return dataclasses.replace(self, truth=np.where(later, np.nan, self.truth))

    def methods(self) -> dict[str, Array]:
        """The forecasts (n, H) by the name of the method."""
        return {name: self.forecasts[:, column] for column, name in enumerate(self.names)}
