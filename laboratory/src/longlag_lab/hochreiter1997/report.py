"""What was found: one JSON object per row and reading, a table beside the paper's values, and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from longlag.diagnostics.plots import curves_figure
from longlag.io.environment import environment
from longlag.io.files import write_text, writing
from longlag.io.json import write_json
from longlag_lab.harness.curves import band
from longlag_lab.hochreiter1997.outcome import Outcome
from longlag_lab.hochreiter1997.paper import Row
from longlag_lab.hochreiter1997.readings import READINGS
from longlag_lab.hochreiter1997.run import Progress
from longlag_lab.hochreiter1997.tables import joined, read

__all__ = ["COLUMNS", "SHORT", "check", "record", "table_row", "write"]

PAPER = "hochreiter1997"
COLUMNS = (
    *("row", "learner", "what", "reading", "weights"),
    *("paper: after", "paper: solved", "after", "range", "solved", "of the paper", "wrong in test", "cap", "seconds"),
)


SHORT = (
    "row",
    "learner",
    "reading",
    "paper: after",
    "after",
    "range",
    "solved",
    "of the paper",
    "wrong in test",
    "seconds",
)


def record(progress: Progress) -> dict[str, Any]:
    """A row under a reading, as JSON. Means and ranges are over solved trials; ``cap`` bounds each trial."""
    work, row = progress.work, progress.work.row
    outcomes = [progress.outcomes[n] for n in sorted(progress.outcomes)]
    counts = [outcome.solved for outcome in outcomes if outcome.solved is not None]
    found: dict[str, Any] = {
        "paper": PAPER,
        "table": row.table,
        "row": row.name,
        "title": row.title,
        "learner": row.learner,
        "reading": work.reading,
        "weights": outcomes[0].weights if outcomes else None,
        "paper_weights": row.weights,
        "trials": len(outcomes),
        "solved": len(counts),
        "mean": float(np.mean(counts)) if counts else None,
        "min": min(counts, default=None),
        "max": max(counts, default=None),
        "cap": work.cap,
        "seed": work.seed,
        "paper_value": row.after,
        "paper_solved": row.solved,
        "paper_wrong": row.wrong,
        "also": _also(row, outcomes),
        "test": _test(outcomes),
        "sequences": [outcome.solved for outcome in outcomes],
        "seconds": round(progress.seconds, 1),
        "curve": band([outcome.curve for outcome in outcomes if len(outcome.curve) > 1]),
    }
    if work.reading != "literal" and row.name in READINGS[work.reading]:
        found["change"] = READINGS[work.reading][row.name].why
    return found


def _also(row: Row, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    paper = dict(row.also)
    found = {}
    for name in sorted({name for outcome in outcomes for name in outcome.also} & paper.keys()):
        counts = [outcome.also[name] for outcome in outcomes if name in outcome.also]
        found[name] = {"mean": float(np.mean(counts)), "trials": len(counts), "paper_value": paper[name]}
    return found


def _test(outcomes: Sequence[Outcome]) -> dict[str, Any] | None:
    """Means over the trials that were tested: those that were solved."""
    tests = [outcome.test for outcome in outcomes if outcome.test]
    if not tests:
        return None
    names = [name for name in tests[0] if all(name in test for test in tests)]
    means = {name: float(np.mean([test[name] for test in tests])) for name in names}
    return {name: value for name, value in means.items() if math.isfinite(value)} | {
        "most_wrong": float(max(test["wrong"] for test in tests))
    }


def table_row(found: dict[str, Any]) -> list[Any]:
    """For ``COLUMNS``."""
    ratio = None if None in (found["mean"], found["paper_value"]) else f"{found['mean'] / found['paper_value']:.2f}"
    test = found["test"]
    return [
        found["row"],
        found["learner"],
        found["title"],
        found["reading"],
        found["weights"],
        _count(found["paper_value"]),
        None if found["paper_solved"] is None else f"{found['paper_solved']:.0%}",
        _count(found["mean"]),
        None if found["min"] is None else f"{_count(found['min'])}-{_count(found['max'])}",
        f"{found['solved']}/{found['trials']}",
        ratio,
        None if test is None else f"{test['wrong']:.1f} of {test['of']:.0f}",
        _count(found["cap"]),
        f"{found['seconds']:.1f}",
    ]


def _count(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


def check(folder: Path, number: int) -> None:
    """CheckpointError if what an earlier run has left of a table in ``folder`` cannot be joined with new rows."""
    read(folder / f"{file_name(number)}.json")


def write(folder: Path, number: int, states: Sequence[Progress]) -> tuple[list[Path], list[dict[str, Any]]]:
    """``table<number>.json``, ``.md`` and ``.png`` in ``folder`` (``limits``: section 6.1).

    Rows of an earlier run that were not run again stay as they are: each carries its own seed, cap and trials. So do
    rows of more trials than the new ones have, or run with the paper's cap where the new ones are not.

    Returns
    -------
    list of Path
        What was written: nothing if no row is new.
    list of dict
        The earlier rows that stay although they were run again.
    """
    json, text, figure = (folder / f"{file_name(number)}.{ending}" for ending in ("json", "md", "png"))
    found, stay = joined(read(json), [record(state) for state in states])
    if len(stay) == len(states):
        return [], stay
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # one thread: what the trials were run with, whatever this process has
    write_json(json, {"environment": environment() | {"threads": 1}, "rows": [*found]})
    write_text(text, _markdown(number, found))
    panels = _panels(found)
    if panels:
        curves_figure(figure, panels, y="mean error, median and quartiles of trials")
    return [json, text, *([figure] if panels else [])], stay


def file_name(number: int) -> str:
    """Of a table's files."""
    return f"table{number}" if number else "limits"


def _markdown(number: int, found: Sequence[dict[str, Any]]) -> str:
    lines = [f"# Table {number} of the 1997 paper" if number else "# Section 6.1 of the 1997 paper", ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    for row in found:
        lines.append("| " + " | ".join("-" if cell is None else str(cell) for cell in table_row(row)) + " |")
    lines += ["", "Sequences until the task's rule held; means and ranges over solved trials, each of which had"]
    lines += ["`cap` sequences at most. Seeds, single trials and settings: the JSON file beside this one.", ""]
    for row in found:
        if "change" in row:
            lines.append(f"- {row['row']}, {row['reading']}: {row['change']}")
        for name, other in row["also"].items():
            lines.append(
                f"- {row['row']}, {row['reading']}: {name} after {other['mean']:,.0f} in {other['trials']} trials "
                f"(paper {other['paper_value']:,})"
            )
    return "\n".join(lines) + "\n"


def _panels(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One panel per row: the trials' curves, reading by reading."""
    panels: dict[str, dict[str, Any]] = {}
    for row in found:
        if row["curve"] is None:
            continue
        mark = row["paper_value"]
        panel = panels.setdefault(row["row"], {"title": f"{row['row']}: {row['title']}", "lines": [], "mark": mark})
        panel["lines"].append({"label": f"{row['learner']}, {row['reading']}", **row["curve"]})
    return list(panels.values())
