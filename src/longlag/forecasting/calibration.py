"""Weights of methods and scores of errors: those of ``fit``, and as they change while values come in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from longlag.forecasting.past_forecasts import LATEST, PastForecasts

__all__ = ["Calibration", "Measured"]

Array = NDArray[np.float64]
_FEW = 100  # forecasts of fit: more are not outweighed by later ones
_OF_ITS_OWN = 1.5  # as Origins counts forecasts that share steps

Later = dict[tuple[int, int], PastForecasts]
"""Forecasts that were made since, by series and step."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What past forecasts tell: the weights of the methods, and the scores (n, H) of the weighted answer's errors."""

    weights: Mapping[str, float]
    scores: Array


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is known of the quality of forecasts.

    A forecast is weighed and widened by forecasts before it. Those are the ones of ``fit``; where they were few, the
    latest ones of the same series follow, from every half horizon since the networks have last learned. What came
    until the last of these steps is their truth, so no value at or after a forecast's step has a part in it.

    Parameters
    ----------
    past : PastForecasts
        Those that ``fit`` has made, none if they were many.
    measured : Measured
        What they tell.
    learned : (N,)
        Steps of each series that the networks have learned.
    later : dict
        Forecasts from after these, as far as they are known.
    """

    past: PastForecasts
    measured: Measured
    learned: NDArray[np.int64]
    later: Later = field(default_factory=dict)

    @classmethod
    def of(cls, past: PastForecasts, measured: Measured, names: Sequence[str], lengths: Sequence[int]) -> Calibration:
        """The calibration after a fit to series of these lengths; later forecasts are by methods of these ``names``."""
        kept = past.by(names) if len(past) <= _FEW else PastForecasts.none(names, past.horizon)
        return cls(kept, measured, np.array(lengths))

    @property
    def stride(self) -> int:
        """Steps between later forecasts."""
        return max(1, self.past.horizon // 2)

    @property
    def independent(self) -> float:
        """The share of a later forecast that its neighbours do not tell too."""
        return min(1.0, _OF_ITS_OWN * self.stride / self.past.horizon)

    def count(self, number: int, place: int) -> int:
        """How many later forecasts of a series there are before a step; forecasts with the same count weigh alike."""
        return max(0, place - int(self.learned[number])) // self.stride if len(self.past) else 0

    def before(
        self, number: int, place: int, forecast: Callable[[int, int], PastForecasts], later: Later
    ) -> PastForecasts:
        """The past forecasts that count for one of series ``number`` from step ``place``.

        Parameters
        ----------
        forecast : makes the one of a series from a step
        later : those that were made already, to which others are added
        """
        learned, past = int(self.learned[number]), self.past
        until = learned + self.stride * self.count(number, place)
        for step in range(max(learned, until - self.stride * LATEST), until, self.stride):
            if (number, step) not in later:
                later[number, step] = forecast(number, step)
            past = past.followed_by(later[number, step].until(until))
        return past

    def measure(self, past: PastForecasts) -> Measured:
        """What past forecasts tell."""
        if past is self.past:
            return self.measured
        weights = past.weights()
        return Measured(weights, past.scores(weights))

    def forget(self, lengths: Sequence[int]) -> None:
        """Drop later forecasts that no longer count at the end of series of these lengths."""
        reach = (LATEST + 1) * self.stride
        for number, step in [*self.later]:
            if step < lengths[number] - reach:
                del self.later[number, step]

    def learning(self, lengths: Sequence[int], forecast: Callable[[int, int], PastForecasts]) -> Calibration:
        """The calibration when the networks learn series of these lengths: what they have forecast so far stays."""
        past, later = self.past, dict(self.later)  # which stays as it is should learning fail
        for number, length in enumerate(lengths):
            past = past.followed_by(self.before(number, length, forecast, later).since(self.learned))
        new = past if len(past.since(self.learned)) else self.past
        return dataclasses.replace(self, past=new, measured=self.measure(new), learned=np.array(lengths), later={})
