"""Figures, as PNG files. The one place that imports matplotlib."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from longlag.io.files import replace_file, writing

__all__ = ["clients_figure", "curves_figure", "forecast_figure", "learning_figure"]

TRUTH, MODEL, OTHER = "#222222", "#c8452d", "#4a78a8"
MANY = (MODEL, OTHER, TRUTH, "#5b8c5a", "#b07cc6", "#d9a441", "#7f7f7f", "#3bb0b0", "#8c564b", "#e377c2")


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
    _save(figure, path)


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
    _save(figure, path)


def curves_figure(
    path: str | os.PathLike[str], panels: Sequence[Mapping[str, Any]], *, y: str, log: bool = False
) -> None:
    """Error against what it has cost, a panel for each row of a table.

    Parameters
    ----------
    panels : sequence of mappings
        "title"; "mark": a place to mark, or None; "x": what the places are, default sequences read; "lines": mappings
        with "label", "places" (n,) and "low", "middle", "high" (n,), drawn as a line in a band.
    y : str
        What the lines show.
    log : bool
        Both axes logarithmic, places from the first above 0 on.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.9 * columns, 2.8 * rows), layout="constrained")
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, number + 1)
        colors = (MODEL, OTHER, TRUTH) if len(panel["lines"]) <= 3 else MANY
        styles = itertools.product(("-", "--"), colors)  # of more lines than colours, the others are dashed
        for line, (style, color) in zip(panel["lines"], itertools.cycle(styles), strict=False):
            axes.fill_between(line["places"], line["low"], line["high"], color=color, alpha=0.18, linewidth=0)
            axes.plot(line["places"], line["middle"], style, color=color, linewidth=1.3, label=line["label"])
        if panel["mark"] is not None:
            axes.axvline(panel["mark"], color="#999999", linewidth=0.8, linestyle=":", label="solved, in the paper")
        axes.set_title(panel["title"], fontsize=9)
        axes.tick_params(labelsize=8)
        if log:
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.xaxis.set_minor_formatter("")  # over less than a decade they would stand on one another
        else:
            axes.set_ylim(bottom=0)
        if "x" in panel:
            axes.set_xlabel(panel["x"], fontsize=9)
        else:
            axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k")
        axes.spines[["top", "right"]].set_visible(False)
        if len(panel["lines"]) <= 5:
            axes.legend(frameon=False, fontsize=7)
        else:  # so many that they would hide the lines
            axes.legend(frameon=False, fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    if not all("x" in panel for panel in panels):
        figure.supxlabel("sequences read", fontsize=9)
    figure.supylabel(y, fontsize=9)
    _save(figure, path)


def clients_figure(path: str | os.PathLike[str], cells: Sequence[int], lines: Sequence[Mapping[str, Any]]) -> None:
    """Time of an iteration against the size of the network (batch paper, Figure 4(b)).

    Parameters
    ----------
    cells : sequence of int
        Memory cells of each network.
    lines : sequence of mappings
        "label"; "seconds", one per network; "together": whether it is of all clients, and not of one alone.
    """
    figure = Figure(figsize=(6.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    others = itertools.cycle(color for color in MANY if color != MODEL)
    for line in lines:
        strong = bool(line["together"])
        axes.plot(
            cells,
            line["seconds"],
            color=MODEL if strong else next(others),
            linewidth=2.2 if strong else 1.2,
            marker="o",
            markersize=5 if strong else 3,
            label=line["label"],
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(cells, [str(count) for count in cells])
    axes.minorticks_off()
    axes.set_xlabel("memory cells")
    axes.set_ylabel("seconds of an iteration")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write the picture: the old file or the new one, at every moment. InputError if it cannot be."""
    target, picture = Path(path), io.BytesIO()
    figure.savefig(picture, format="png", dpi=130)
    with writing(target):
        replace_file(target, picture.getvalue())
