"""Tables of results beside the 1997 paper's values: a row for each row of the paper under a variant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from longlag_lab.harness.curves import band
from longlag_lab.harness.experiment import Progress
from longlag_lab.harness.results import Column, ResultTable
from longlag_lab.harness.results import Row as ResultRow
from longlag_lab.hochreiter1997.jobs import Job, VariantName
from longlag_lab.hochreiter1997.outcome import Outcome
from longlag_lab.hochreiter1997.paper import ROWS, Row
from longlag_lab.hochreiter1997.row_check import check_row
from longlag_lab.hochreiter1997.variants import VARIANTS

__all__ = ["FOLDER", "record", "table"]

FOLDER = "hochreiter1997"
_CAPS = {row.name: row.cap for row in ROWS}
_PLACES = {name: place for place, name in enumerate(_CAPS)}
_VARIANTS: tuple[str, ...] = get_args(VariantName)


def record(progress: Progress[Job, Outcome]) -> ResultRow:
    """Return a job's row, as JSON. Means and ranges are over solved trials; ``cap`` bounds each trial."""
    job, row = progress.job, progress.job.row
    outcomes = [progress.outcomes[number] for number in sorted(progress.outcomes)]
    counts = [outcome.solved for outcome in outcomes if outcome.solved is not None]
    result: ResultRow = {
        "paper": FOLDER,
        "table": row.table,
        "row": row.name,
        "title": row.title,
        "learner": row.learner,
        "reading": job.variant,
        "weights": outcomes[0].weights if outcomes else None,
        "paper_weights": row.weights,
        "trials": len(outcomes),
        "solved": len(counts),
        "mean": float(np.mean(counts)) if counts else None,
        "min": min(counts, default=None),
        "max": max(counts, default=None),
        "cap": job.cap,
        "seed": job.seed,
        "paper_value": row.after,
        "paper_solved": row.solved,
        "paper_wrong": row.wrong,
        "also": _other_rules(row, outcomes),
        "test": _test_means(outcomes),
        "sequences": [outcome.solved for outcome in outcomes],
        "seconds": round(progress.seconds, 1),
        "curve": band([outcome.curve for outcome in outcomes if len(outcome.curve) > 1]),
    }
    if job.variant != "literal" and row.name in VARIANTS[job.variant]:
        result["change"] = VARIANTS[job.variant][row.name].why
    return result


def _other_rules(row: Row, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """After how many sequences the rules held for which the paper prints further counts."""
    paper = dict(row.also)
    means = {}
    for name in sorted({name for outcome in outcomes for name in outcome.also} & paper.keys()):
        counts = [outcome.also[name] for outcome in outcomes if name in outcome.also]
        means[name] = {"mean": float(np.mean(counts)), "trials": len(counts), "paper_value": paper[name]}
    return means


def _test_means(outcomes: Sequence[Outcome]) -> dict[str, Any] | None:
    """Return means over the trials that were tested: those that were solved."""
    tests = [outcome.test for outcome in outcomes if outcome.test]
    if not tests:
        return None
    names = [name for name in tests[0] if all(name in test for test in tests)]
    means = {name: float(np.mean([test[name] for test in tests])) for name in names}
    return {name: value for name, value in means.items() if math.isfinite(value)} | {
        "most_wrong": float(max(test["wrong"] for test in tests))
    }


# ---- the table -------------------------------------------------------------------------------------------------------


def table(number: int) -> ResultTable:
    """Table ``number`` of the paper; 0 is section 6.1."""
    return ResultTable(
        name=f"table{number}" if number else "limits",
        title=f"Table {number} of the 1997 paper" if number else "Section 6.1 of the 1997 paper",
        columns=_COLUMNS,
        footnotes=_footnotes,
        key=lambda row: (row["row"], row["reading"]),
        rank=lambda row: (row["cap"] == _CAPS[row["row"]], row["trials"]),
        order=lambda row: (_PLACES[row["row"]], _VARIANTS.index(row["reading"])),
        check=check_row,
        panels=_panels,
        y="mean error, median and quartiles of trials",
    )


def _count(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


def _range(row: ResultRow) -> str | None:
    return None if row["min"] is None else f"{_count(row['min'])}-{_count(row['max'])}"


def _ratio_to_paper(row: ResultRow) -> str | None:
    return None if None in (row["mean"], row["paper_value"]) else f"{row['mean'] / row['paper_value']:.2f}"


def _wrong_in_test(row: ResultRow) -> str | None:
    test = row["test"]
    return None if test is None else f"{test['wrong']:.1f} of {test['of']:.0f}"


def _paper_solved(row: ResultRow) -> str | None:
    return None if row["paper_solved"] is None else f"{row['paper_solved']:.0%}"


_COLUMNS = (
    Column("row", lambda row: row["row"]),
    Column("learner", lambda row: row["learner"]),
    Column("what", lambda row: row["title"], brief=False),
    Column("reading", lambda row: row["reading"]),
    Column("weights", lambda row: row["weights"], brief=False),
    Column("paper: after", lambda row: _count(row["paper_value"])),
    Column("paper: solved", _paper_solved, brief=False),
    Column("after", lambda row: _count(row["mean"])),
    Column("range", _range),
    Column("solved", lambda row: f"{row['solved']}/{row['trials']}"),
    Column("of the paper", _ratio_to_paper),
    Column("wrong in test", _wrong_in_test),
    Column("cap", lambda row: _count(row["cap"]), brief=False),
    Column("seconds", lambda row: f"{row['seconds']:.1f}"),
)


def _footnotes(rows: Sequence[ResultRow]) -> list[str]:
    lines = ["Sequences until the task's rule held; means and ranges over solved trials, each of which had"]
    lines += ["`cap` sequences at most. Seeds, single trials and settings: the JSON file beside this one.", ""]
    for row in rows:
        if "change" in row:
            lines.append(f"- {row['row']}, {row['reading']}: {row['change']}")
        for name, count in row["also"].items():
            lines.append(
                f"- {row['row']}, {row['reading']}: {name} after {count['mean']:,.0f} in {count['trials']} trials "
                f"(paper {count['paper_value']:,})"
            )
    return lines


def _panels(rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
    """Return one panel for each row of the paper, with a band of curves for each variant."""
    panels: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["curve"] is None:
            continue
        mark = row["paper_value"]
        panel = panels.setdefault(row["row"], {"title": f"{row['row']}: {row['title']}", "lines": [], "mark": mark})
        panel["lines"].append({"label": f"{row['learner']}, {row['reading']}", **row["curve"]})
    return list(panels.values())
