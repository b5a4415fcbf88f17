"""Tables of results beside the batch paper's values: a row for each case of a figure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from longlag.errors import InputError
from longlag_lab.batch2013.cases import title_of
from longlag_lab.batch2013.jobs import Job
from longlag_lab.batch2013.outcome import Outcome, Snapshot
from longlag_lab.harness.checks import mapping, number, text, whole
from longlag_lab.harness.config_text import config_text
from longlag_lab.harness.curves import band, check_band
from longlag_lab.harness.experiment import Progress
from longlag_lab.harness.results import Column, ResultTable, Row

__all__ = ["FOLDER", "record", "table"]

FOLDER = "batch2013"
_COSTS = ("evaluations", "gradients", "passes", "seconds", "test", "validation")


def record(progress: Progress[Job, Outcome]) -> Row:
    """Return a job's row, as JSON.

    Medians and ranges are over solved trials; seconds are CPU time of training alone.
    """
    case = progress.job.case
    outcomes = [progress.outcomes[number] for number in sorted(progress.outcomes)]
    solved = [outcome.solved for outcome in outcomes if outcome.solved]
    on_validation = [outcome.solved_on_validation for outcome in outcomes if outcome.solved_on_validation]
    return {
        "paper": FOLDER,
        "figure": case.figure,
        "row": case.name,
        "title": case.title,
        "panel": case.panel,
        "weights": case.problem.network(0).weight_count(),
        "paper_value": case.paper,
        "trials": len(outcomes),
        "seed": progress.job.seed,
        "solved": len(solved),
        "by_test": _costs(solved),
        "by_validation": _costs(on_validation),
        "honest": len(on_validation),
        "below": case.problem.below,
        "best": [_rounded(outcome.best) for outcome in outcomes],
        "ends": sorted({outcome.reason for outcome in outcomes}),
        "problem": config_text(case.problem),
        "recipe": config_text(case.recipe),
        "seconds": round(progress.seconds, 1),
        "curve_passes": _band(outcomes, 0),
        "curve_seconds": _band(outcomes, 1),
    }


def _costs(snapshots: Sequence[Snapshot]) -> dict[str, Any] | None:
    if not snapshots:
        return None
    costs: dict[str, Any] = {}
    for name in _COSTS:
        values = [getattr(snapshot, name) for snapshot in snapshots]
        costs[name] = {"median": _rounded(median(values)), "min": _rounded(min(values)), "max": _rounded(max(values))}
    return costs


def _band(outcomes: Sequence[Outcome], column: int) -> dict[str, list[float]] | None:
    curves = [[(point[column], point[2]) for point in outcome.curve] for outcome in outcomes if len(outcome.curve) > 1]
    return band(curves, log=True)


def _rounded(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None


# ---- the table -------------------------------------------------------------------------------------------------------


def table(figure: str) -> ResultTable:
    """Return the table of a figure."""
    return ResultTable(
        name=figure,
        title=title_of(figure),
        columns=_COLUMNS,
        footnotes=lambda rows: _FOOTNOTES,
        key=lambda row: (row["row"],),
        rank=lambda row: row["trials"],
        check=_check_row,
        panels=_panels,
        y="test error: median, quartiles",
        log=True,
    )


def _gradients(row: Row) -> str | None:
    return row["by_test"] and f"{row['by_test']['gradients']['median']:.0f}"


def _range(row: Row) -> str | None:
    gradients = row["by_test"] and row["by_test"]["gradients"]
    return gradients and f"{gradients['min']:.0f}-{gradients['max']:.0f}"


def _passes(row: Row) -> str | None:
    return row["by_test"] and f"{row['by_test']['passes']['median']:.1f}"


def _seconds(row: Row) -> str | None:
    return row["by_test"] and f"{row['by_test']['seconds']['median']:.1f}"


def _test_error_there(row: Row) -> str | None:
    return row["by_validation"] and f"{row['by_validation']['test']['median']:.4f}"


def _best(row: Row) -> str | None:
    best = [error for error in row["best"] if error is not None]
    return f"{min(best):.4f}-{max(best):.4f}" if best else None


_COLUMNS = (
    Column("row", lambda row: row["row"]),
    Column("what", lambda row: row["title"], brief=False),
    Column("weights", lambda row: row["weights"], brief=False),
    Column("paper", lambda row: row["paper_value"]),
    Column("solved", lambda row: f"{row['solved']}/{row['trials']}"),
    Column("gradients", _gradients),
    Column("range", _range),
    Column("passes", _passes),
    Column("seconds", _seconds),
    Column("by validation", lambda row: f"{row['honest']}/{row['trials']}"),
    Column("test error there", _test_error_there, brief=False),
    Column("best test error", _best),
)
_FOOTNOTES = [
    "Solved: the test set's error fell below the row's bound, the paper's criterion. Gradients: gradient",
    "equivalents, values counting 2/3, products with a stored Jacobian nothing; passes: the same times the share",
    "of the training set they took; seconds: CPU time of one thread, without looking at the test set; medians and",
    "ranges over solved trials. By validation: trials that a validation set would have stopped, and the test error",
    "there. Settings and seeds: the JSON file beside this one.",
]


def _panels(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Error by passes and by seconds; where rows are of several panels, by passes in each."""
    panels = []
    names = list(dict.fromkeys(row["panel"] for row in rows))
    costs = (("curve_passes", "passes over the training set"), ("curve_seconds", "seconds of CPU time"))
    for title, (name, label) in itertools.product(names, costs if len(names) == 1 else costs[:1]):
        lines = [
            {"label": row["row"], **row[name]} for row in rows if row[name] is not None and row["panel"] in ("", title)
        ]
        if lines:
            panels.append({"title": title, "x": label, "lines": lines, "mark": None})
    return panels


def _check_row(row: Row) -> None:
    """Raise InputError or KeyError unless the row has what the table and the figure are made of."""
    for name in ("row", "title", "panel", *(["paper_value"] if row["paper_value"] is not None else [])):
        text(name, row[name])
    trials = whole("trials", row["trials"])
    for name in ("solved", "honest"):
        whole(name, row[name], 0, trials)
    whole("weights", row["weights"])
    for name in ("by_test", "by_validation"):
        if row[name] is not None:
            _check_costs(name, mapping(name, row[name]))
    if not isinstance(row["best"], list):
        raise InputError("best is no list; expected the lowest error of each trial")
    for error in row["best"]:
        if error is not None:
            number("an error in best", error)
    for name in ("curve_passes", "curve_seconds"):
        if row[name] is not None:
            check_band(name, row[name])


def _check_costs(name: str, costs: dict[str, Any]) -> None:
    for cost in _COSTS:
        for statistic in ("median", "min", "max"):
            number(f"{statistic} of {cost} in {name}", mapping(f"{cost} in {name}", costs[cost])[statistic])
