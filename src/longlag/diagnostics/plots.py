"""Figures, as PNG files. The one place that imports matplotlib."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from longlag.io.files import replace_file, writing

__all__ = ["MODEL", "OTHER", "TRUTH", "forecast_figure", "learning_figure", "save_figure"]

TRUTH, MODEL, OTHER = "#222222", "#c8452d", "#4a78a8"


def forecast_figure(
    path: str | os.PathLike[str],
    times: ArrayLike,
    series: ArrayLike,
    forecasts: Sequence[Mapping[str, Any]],
    *,
    name: str,
    coverage: float,
    time_name: str = "step",
) -> None:
    """What happened beside what was forecast.

    Parameters
    ----------
    times, series : (T,)
        The part of the series to show.
    forecasts : sequence of mappings
        Each has "times" (h,), "mean", "lower", "upper" (h,): forecasts from one origin, drawn one after another.
    name, time_name : str
        Of the values and of the times.
    coverage : float
        What share of values the intervals should hold.
    """
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(np.asarray(times), np.asarray(series), color=TRUTH, linewidth=1.3, label="observed")
    for number, forecast in enumerate(forecasts):
        label = number == 0
        axes.fill_between(
            forecast["times"],
            forecast["lower"],
            forecast["upper"],
            color=MODEL,
            alpha=0.18,
            linewidth=0,
            label=f"{coverage:.0%} interval" if label else None,
        )
        axes.plot(forecast["times"], forecast["mean"], color=MODEL, linewidth=1.6, label="forecast" if label else None)
        axes.axvline(forecast["times"][0], color="#bbbbbb", linewidth=0.6, zorder=0)
    steps = len(forecasts[0]["mean"]) if forecasts else 0
    axes.set_title(f"{name}: held-out forecasts of {steps} steps, each made at its grey line", fontsize=10)
    axes.set_xlabel(time_name)
    axes.set_ylabel(name)
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False, fontsize=9, ncols=3)
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
