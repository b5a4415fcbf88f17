"""Sums in the place of what statsmodels fits at every origin, and a short search for the weights of the methods there.

These take most of the time of a small run.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from longlag.forecasting import combination
from longlag.forecasting.simple import SIMPLE, drift, last_value

__all__ = ["STAND_INS", "make_quick"]

_FORECASTS = {
    "Theta": lambda values, seasons, steps: (last_value(values, seasons, steps) + drift(values, seasons, steps)) / 2,
    "smoothing": lambda values, seasons, steps: np.full(steps, values[-3:].mean()),
    "autoregression": lambda values, seasons, steps: np.full(steps, values[-2:].mean()),
}
STAND_INS = {name: dataclasses.replace(SIMPLE[name], forecast=forecast) for name, forecast in _FORECASTS.items()}
"""Theta, smoothing and autoregression at no cost."""


def make_quick(patch: pytest.MonkeyPatch) -> None:
    """Take the stand-ins, and 50 of 400 rounds for the weights of the methods."""
    for name, method in STAND_INS.items():
        patch.setitem(SIMPLE, name, method)
    patch.setattr(combination, "_ROUNDS", 50)
