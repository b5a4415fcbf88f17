"""What was found: one JSON object per row, a table beside the paper's values, and a figure of error against cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from longlag.checks import is_whole
from longlag.diagnostics.plots import curves_figure
from longlag.errors import CheckpointError
from longlag.io.environment import environment
from longlag.io.files import write_text, writing
from longlag.io.json import decode_json, write_json
from longlag_lab.batch2013.cases import titles
from longlag_lab.batch2013.run import Progress
from longlag_lab.batch2013.trial import Found, Trial
from longlag_lab.harness.curves import band

__all__ = ["COLUMNS", "SHORT", "check", "record", "short_row", "table_row", "write"]

PAPER = "batch2013"
COLUMNS = (
    *("row", "what", "weights", "paper", "solved", "gradients", "range", "passes", "seconds"),
    *("by validation", "test error there", "best test error"),
)
SHORT = ("row", "paper", "solved", "gradients", "range", "passes", "seconds", "by validation", "best test error")


def record(progress: Progress) -> dict[str, Any]:
    """A row as JSON. Medians and ranges are over solved trials; seconds are of CPU time, training alone."""
    case = progress.case
    trials = [progress.ended[n] for n in sorted(progress.ended)]
    return {
        "paper": PAPER,
        "figure": case.figure,
        "row": case.name,
        "title": case.title,
        "panel": case.panel,
        "weights": case.problem.network(0).weight_count(),
        "paper_value": case.paper,
        "trials": len(trials),
        "seed": progress.seed,
        "solved": sum(trial.solved is not None for trial in trials),
        "by_test": _costs([trial.solved for trial in trials if trial.solved]),
        "by_validation": _costs([trial.honest for trial in trials if trial.honest]),
        "honest": sum(trial.honest is not None for trial in trials),
        "below": case.problem.below,
        "best": [_rounded(trial.best) for trial in trials],
        "ends": sorted({trial.reason for trial in trials}),
        "problem": repr(case.problem),
        "recipe": repr(case.recipe),
        "seconds": round(progress.seconds, 1),
        "curve_passes": _band(trials, 0),
        "curve_seconds": _band(trials, 1),
    }


def _costs(found: Sequence[Found]) -> dict[str, Any] | None:
    if not found:
        return None
    costs: dict[str, Any] = {}
    for name in ("evaluations", "gradients", "passes", "seconds", "test", "validation"):
        values = [getattr(one, name) for one in found]
        costs[name] = {"median": _rounded(median(values)), "min": _rounded(min(values)), "max": _rounded(max(values))}
    return costs


def _band(trials: Sequence[Trial], column: int) -> dict[str, list[float]] | None:
    return band(
        [[(point[column], point[2]) for point in trial.curve] for trial in trials if len(trial.curve) > 1], log=True
    )


def _rounded(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None


def table_row(found: dict[str, Any]) -> list[Any]:
    """For ``COLUMNS``."""
    test, honest = found["by_test"], found["by_validation"]
    best = [error for error in found["best"] if error is not None]
    return [
        found["row"],
        found["title"],
        found["weights"],
        found["paper_value"],
        f"{found['solved']}/{found['trials']}",
        test and f"{test['gradients']['median']:.0f}",
        test and f"{test['gradients']['min']:.0f}-{test['gradients']['max']:.0f}",
        test and f"{test['passes']['median']:.1f}",
        test and f"{test['seconds']['median']:.1f}",
        f"{found['honest']}/{found['trials']}",
        honest and f"{honest['test']['median']:.4f}",
        f"{min(best):.4f}-{max(best):.4f}" if best else None,
    ]


def short_row(found: dict[str, Any]) -> list[Any]:
    """For ``SHORT``."""
    cells = table_row(found)
    return [cells[COLUMNS.index(name)] for name in SHORT]


def check(folder: Path, figure: str) -> None:
    """CheckpointError if what an earlier run has left in ``folder`` cannot be joined with new rows."""
    _earlier(folder / f"{figure}.json")


def _earlier(path: Path) -> list[dict[str, Any]]:
    """Rows of an earlier run."""
    if not path.exists():
        return []
    try:
        document = decode_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}; move it away to write a new one") from error
    rows = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("row"), str) and is_whole(row.get("trials")) for row in rows
    ):
        raise CheckpointError(f"{path} holds no rows of an earlier run; move it away to write a new one")
    return rows


def write(folder: Path, figure: str, states: Sequence[Progress]) -> tuple[list[Path], list[dict[str, Any]]]:
    """``<figure>.json``, ``.md`` and ``.png`` in ``folder``. An earlier row of more trials than the new one stays.

    Returns
    -------
    list of Path
        What was written.
    list of dict
        The earlier rows that stay although they were run again.
    """
    json, text, picture = (folder / f"{figure}.{ending}" for ending in ("json", "md", "png"))
    new = {state.case.name: record(state) for state in states}
    stay = [row for row in _earlier(json) if row["row"] in new and row["trials"] > new[row["row"]]["trials"]]
    rows = {row["row"]: row for row in _earlier(json)} | new | {row["row"]: row for row in stay}
    if len(stay) == len(states):
        return [], stay
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(json, {"environment": environment() | {"threads": 1}, "rows": [*rows.values()]})
    write_text(text, _markdown(figure, list(rows.values())))
    panels = _panels(list(rows.values()))
    if panels:
        curves_figure(picture, panels, y="test error: median, quartiles", log=True)
    return [json, text, *([picture] if panels else [])], stay


def _markdown(figure: str, rows: Sequence[dict[str, Any]]) -> str:
    lines = [f"# {titles(figure)}", ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    for row in rows:
        lines.append("| " + " | ".join("-" if cell is None else str(cell) for cell in table_row(row)) + " |")
    lines += [
        "",
        "Solved: the test set's error fell below the row's bound, the paper's criterion. Gradients: gradient",
        "equivalents, values counting 2/3, products with a stored Jacobian nothing; passes: the same times the share",
        "of the training set they took; seconds: CPU time of one thread, without looking at the test set; medians and",
        "ranges over solved trials. By validation: trials that a validation set would have stopped, and the test error",
        "there. Settings and seeds: the JSON file beside this one.",
        "",
    ]
    return "\n".join(lines)


def _panels(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
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
