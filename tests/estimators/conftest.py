"""Forecasters that are quick: without the simple methods of statsmodels, which take most of a small fit."""

from __future__ import annotations

import pytest

from estimators.forecasters import COSTLY
from longlag.forecasting.simple import SIMPLE


@pytest.fixture
def cheap_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forecasters are held against the last value, drift and seasonal naive alone."""
    for name in COSTLY:
        monkeypatch.delitem(SIMPLE, name)
