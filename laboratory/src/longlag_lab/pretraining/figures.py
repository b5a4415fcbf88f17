"""A page of what the prior draws: series of each frequency, and each ingredient alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from longlag.diagnostics.plots import MODEL, OTHER, save_figure
from longlag.synthetic.prior import FREQUENCIES, Prior

__all__ = ["prior_figure"]

SERIES = 4
"""Series in a row."""
SEASON = 11
"""Steps of a season where the prior draws its length."""
SEED = 1


def prior_figure(path: Path) -> None:
    """Draw a row of series for each frequency, and beside it one for each ingredient alone: months, and plain noise."""
    figure = Figure(figsize=(6.0, 5.0))
    left, right = figure.subplots(1, 2, gridspec_kw={"left": 0.1, "right": 0.99, "bottom": 0.01, "top": 0.96})
    figure.subplots_adjust(wspace=0.24)
    rows = {}
    for place, (name, frequency) in enumerate(FREQUENCIES.items()):
        steps = round((frequency.steps[0] * frequency.steps[1]) ** 0.5)
        seasons = frequency.seasons or (SEASON,)
        rows[name] = Prior().draw(np.random.default_rng([SEED, place]), SERIES, steps, frequency, seasons)
    _draw(left, "what the prior draws, by frequency", rows, OTHER)
    _draw(right, "one ingredient alone, beside noise", _ingredients(), MODEL)
    save_figure(figure, path)


def _ingredients() -> dict[str, NDArray[np.float64]]:
    names = [field.name for field in dataclasses.fields(Prior)]
    nothing = Prior().without(*names)
    months = dataclasses.replace(FREQUENCIES["monthly"], seasonal=0.0)
    rows = {}
    for place, name in enumerate(names):
        alone = dataclasses.replace(nothing, **{name: 1.0})
        rows[name.replace("_", " ")] = alone.draw(np.random.default_rng([SEED, place]), SERIES, 100, months, (12,))
    return rows


def _draw(page: Axes, title: str, rows: dict[str, NDArray[np.float64]], color: str) -> None:
    """Draw each series in a place of its own, one column and one row wide, from its least value to its largest."""
    for row, series in enumerate(rows.values()):
        for column, values in enumerate(series):
            low, high = np.nanmin(values), np.nanmax(values)
            height = 0.8 * (values - low) / max(high - low, 1e-12)
            page.plot(column + np.linspace(0.0, 0.92, len(values)), height - row, color=color, linewidth=0.5)
    page.set_title(title, fontsize=7)
    page.set(xticks=[], xlim=(0.0, SERIES), ylim=(0.9 - len(rows), 1.0))
    page.set_yticks(0.4 - np.arange(len(rows)), list(rows), fontsize=5)
    page.tick_params(length=0)
    page.spines[:].set_visible(False)
