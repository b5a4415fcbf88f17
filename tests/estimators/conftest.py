"""Forecasters that are quick: what takes most of a small fit or backtest is left out where it is not the subject."""

from __future__ import annotations

import pytest

from estimators.forecasters import make_cheap


@pytest.fixture
def cheap_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forecasters are held against the last value, drift and seasonal naive alone, and weighed in fewer rounds."""
    make_cheap(monkeypatch)
