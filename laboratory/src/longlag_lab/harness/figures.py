"""Figures of experiments and benchmarks: error against cost, and the time of an iteration against size."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from longlag.diagnostics.plots import MODEL, OTHER, TRUTH, save_figure

__all__ = ["curves_figure", "workers_figure"]

MANY = (MODEL, OTHER, TRUTH, "#5b8c5a", "#b07cc6", "#d9a441", "#7f7f7f", "#3bb0b0", "#8c564b", "#e377c2")


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
    save_figure(figure, path)


def workers_figure(path: str | os.PathLike[str], cells: Sequence[int], lines: Sequence[Mapping[str, Any]]) -> None:
    """Time of an iteration against the size of the network (batch paper, Figure 4(b)).

    Parameters
    ----------
    cells : sequence of int
        Memory cells of each network.
    lines : sequence of mappings
        "label"; "seconds", one per network; "together": whether it is of all workers, and not of one alone.
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
    save_figure(figure, path)
