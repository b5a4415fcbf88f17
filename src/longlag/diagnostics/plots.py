"""Figures, as PNG files. The one place that imports matplotlib."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from longlag.io.files import replace_file, writing

__all__ = [
    "MODEL",
    "OTHER",
    "TRUTH",
    "ForecastPath",
    "SeriesPicture",
    "forecast_figure",
    "learning_figure",
    "save_figure",
]

TRUTH, MODEL, OTHER = "#222222", "#c8452d", "#4a78a8"

_CHANGE = 1e-6  # of a series relative to its level, below which it is taken for constant


@dataclass(frozen=True, eq=False)
class ForecastPath:
    """A forecast from one origin: times, median and the ends of the interval, (h,); and a simple method's, if any."""

    times: NDArray[Any]
    median: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    simple: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class SeriesPicture:
    """What is shown of one series: its title, times and values (T,), its forecasts, and the simple method's name."""

    title: str
    times: NDArray[Any]
    values: NDArray[np.float64]
    paths: Sequence[ForecastPath]
    simple: str | None = None


def forecast_figure(
    path: str | os.PathLike[str],
    pictures: Sequence[SeriesPicture],
    *,
    coverage: float,
    time_name: str = "step",
    value_name: str = "",
) -> None:
    """Draw what happened, what was forecast with its interval, and a simple method's forecast; a row for each series.

    A forecast of several steps and its interval begin at a point on the last value that they knew. ``value_name`` is
    what the values of series with names of their own are.
    """
    rows = max(1, len(pictures))
    figure = Figure(figsize=(9.0, 4.2 if rows == 1 else 2.6 * rows + 0.6), layout="constrained")
    for row, picture in enumerate(pictures):
        axes = figure.add_subplot(rows, 1, row + 1)
        axes.plot(picture.times, picture.values, color=TRUTH, linewidth=1.2, label="observed")
        for number, part in enumerate(picture.paths):
            _draw_path(axes, picture, part, coverage, named=number == 0)
        if np.asarray(picture.times).dtype.kind == "M":  # a label is as short as its neighbours allow
            labels = ConciseDateFormatter(axes.xaxis.get_major_locator())  # type: ignore[no-untyped-call]
            axes.xaxis.set_major_formatter(labels)
        axes.set_title(picture.title, fontsize=10, loc="left")
        axes.margins(x=0.01)
        _widen(axes)
        axes.spines[["top", "right"]].set_visible(False)
        if row == 0:  # above the axes, where no value is
            axes.legend(
                loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, frameon=False, fontsize=9, ncols=4
            )
        if row == rows - 1:
            axes.set_xlabel(time_name)
    if value_name and all(picture.title != value_name for picture in pictures):
        figure.supylabel(value_name, fontsize=10)
    save_figure(figure, path)


def _widen(axes: Axes) -> None:
    """Give a series that does not change room of a hundredth of its level, or its rounding errors would fill it."""
    low, high = axes.get_ylim()
    level = max(abs(low), abs(high))
    if high - low < _CHANGE * level:
        axes.set_ylim(low - level / 100, high + level / 100)


def _draw_path(axes: Axes, picture: SeriesPicture, part: ForecastPath, coverage: float, *, named: bool) -> None:
    """Draw one forecast; ``named``, with what its lines are called."""
    known = np.flatnonzero((np.asarray(picture.times) < part.times[0]) & np.isfinite(picture.values))
    origin = known[-1:] if len(part.times) > 1 else known[:0]
    times, start = np.concatenate([picture.times[origin], part.times]), picture.values[origin]
    axes.fill_between(
        times,
        np.concatenate([start, part.lower]),
        np.concatenate([start, part.upper]),
        color=MODEL,
        alpha=0.18,
        linewidth=0,
        label=f"{coverage:.0%} interval" if named else None,
    )
    if part.simple is not None:
        axes.plot(
            part.times,
            part.simple,
            color=OTHER,
            linewidth=1.0,
            linestyle="--",
            label=picture.simple if named else None,
        )
    if len(origin):
        to_first = np.concatenate([start, part.median[:1]])
        axes.plot(
            times[:2],
            to_first,
            color=MODEL,
            linewidth=1.6,
            marker="o",
            markevery=[0],
            markersize=3.5,
            markerfacecolor=TRUTH,
            markeredgecolor=TRUTH,
        )
    axes.plot(
        part.times,
        part.median,
        color=MODEL,
        linewidth=1.6,
        marker="." if len(part.times) == 1 else None,
        label="forecast" if named else None,
    )


def learning_figure(path: str | os.PathLike[str], history: Sequence[Mapping[str, Any]], best_epoch: int) -> None:
    """Training and validation loss by epoch; ``history`` as the training loop records it."""
    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    axes = figure.add_subplot()
    epochs = [entry["epoch"] for entry in history]
    axes.plot(epochs, [entry["loss"] for entry in history], color=OTHER, label="training")
    validation = [entry["validation"] for entry in history]
    if all(value is not None for value in validation):
        axes.plot(epochs, validation, color=MODEL, label="validation")
        axes.axvline(best_epoch, color="#bbbbbb", linewidth=0.8, zorder=0, label="kept")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylabel("loss")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    save_figure(figure, path)


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write the picture: the old file or the new one, at every moment. InputError if it cannot be."""
    target, picture = Path(path), io.BytesIO()
    figure.savefig(picture, format="png", dpi=130)
    with writing(target):
        replace_file(target, picture.getvalue())
