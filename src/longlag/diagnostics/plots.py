"""Figures, as PNG files. The one place that imports matplotlib."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
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
    path: str | os.PathLike[str], pictures: Sequence[SeriesPicture], *, coverage: float, time_name: str = "step"
) -> None:
    """Draw what happened, what was forecast with its interval, and a simple method's forecast; a row for each series.

    Forecasts of several steps begin at a point on the last value that they knew.
    """
    rows = max(1, len(pictures))
    figure = Figure(figsize=(9.0, 4.2 if rows == 1 else 2.6 * rows + 0.6), layout="constrained")
    for row, picture in enumerate(pictures):
        axes = figure.add_subplot(rows, 1, row + 1)
        axes.plot(picture.times, picture.values, color=TRUTH, linewidth=1.2, label="observed")
        for number, part in enumerate(picture.paths):
            first = number == 0
            axes.fill_between(
                part.times,
                part.lower,
                part.upper,
                color=MODEL,
                alpha=0.18,
                linewidth=0,
                label=f"{coverage:.0%} interval" if first else None,
            )
            if part.simple is not None:
                axes.plot(
                    part.times,
                    part.simple,
                    color=OTHER,
                    linewidth=1.0,
                    linestyle="--",
                    label=picture.simple if first else None,
                )
            axes.plot(
                part.times,
                part.median,
                color=MODEL,
                linewidth=1.6,
                marker="." if len(part.times) == 1 else None,
                label="forecast" if first else None,
            )
            before = np.flatnonzero(np.asarray(picture.times) < part.times[0])
            if len(part.times) > 1 and len(before):
                axes.plot(picture.times[before[-1]], picture.values[before[-1]], "o", color=TRUTH, markersize=3.5)
        axes.set_title(picture.title, fontsize=10, loc="left")
        axes.margins(x=0.01)
        axes.spines[["top", "right"]].set_visible(False)
        if row == 0:
            axes.legend(loc="upper left", frameon=False, fontsize=9, ncols=4)
        if row == rows - 1:
            axes.set_xlabel(time_name)
    save_figure(figure, path)


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
