"""What does each ambiguity of the 1997 paper do to its counts? One change at a time, and the combinations that fit.

``python -m longlag_lab.questions.readings_1997 [--jobs 2] [--trials 10] [--only 2c-1 [--reading "no hidden sources"]]``
writes results/hochreiter1997/readings.json and .md, which docs/readings-1997.md discusses. With --only, what was run
replaces the same readings there, and all others stay. A reading's name is its change. A row's seeds are those of
``longlag reproduce``, so the literal reading repeats its trials.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longlag.io.environment import environment
from longlag.tasks import NoRegularityLag
from longlag_lab.harness.pool import Sender, pool
from longlag_lab.harness.report import markdown_table, write_report
from longlag_lab.hochreiter1997.batching import run_trials
from longlag_lab.hochreiter1997.configs import literal
from longlag_lab.hochreiter1997.jobs import Job, seed_of
from longlag_lab.hochreiter1997.paper import ROWS
from longlag_lab.hochreiter1997.trial import Trial
from longlag_lab.hochreiter1997.variants import Change

__all__ = ["main", "markdown", "merged"]

LITERAL = Change(why="literal")
SWAPPED = Change(why="g in [-1, 1], h in [-2, 2]", ranges=("logistic_pm1", "logistic_pm2"))
WIDE = Change(why="g and h in [-2, 2]", ranges=("logistic_pm2", "logistic_pm2"))
NO_SLOPE = Change(why="error t - y", loss="cross_entropy")
LINEAR = Change(why="linear output", output_activation="identity")
CELLS = Change(why="gates are no sources", recurrence="cells")
SILENT = Change(why="no hidden sources", recurrence="none")
AT_ENDS = Change(why="changes at sequence ends", update="sequence")
DOUBLE = Change(why="float64", wide=True)
START = Change(why="cell from the start", cells_at_start=True)
NEW_SETS = Change(why="new test set at each look", new_test_sets=True)
LATE_BIASES = Change(why="biases from the second step on", delayed_biases=True)
ONLY_END = Change(why="errors at ends only", task=NoRegularityLag(error_signals="end"))


def both(*changes: Change) -> Change:
    """Return all of some changes at once."""
    fields = {name: value for change in changes for name, value in vars(change).items() if value not in (None, False)}
    return Change(**fields | {"why": "; ".join(change.why for change in changes)})


def faster(row: str, factor: float) -> Change:
    """Return a learning rate larger by a factor: 2 stands for the squared error without its half (A.14)."""
    return Change(why=f"rate times {factor:g}", learning_rate=factor * literal()[row].learning_rate)


TRIED: dict[str, list[Change]] = {
    "1-2": [LITERAL, SWAPPED, WIDE, NO_SLOPE, both(SWAPPED, NO_SLOPE), CELLS, SILENT, AT_ENDS, faster("1-2", 2)],
    "1-4": [LITERAL, SWAPPED, WIDE, NO_SLOPE, CELLS, SILENT, AT_ENDS],
    "1-5": [LITERAL, SWAPPED, WIDE, NO_SLOPE, CELLS, SILENT, AT_ENDS, faster("1-5", 2), both(WIDE, AT_ENDS)],
    "2a": [LITERAL, START, NO_SLOPE, both(NO_SLOPE, START)],
    "2b": [
        LITERAL,
        both(NO_SLOPE, START),
        both(ONLY_END, START),
        both(NO_SLOPE, ONLY_END),
        both(NO_SLOPE, ONLY_END, START),
    ],
    "2c-1": [
        LITERAL,
        SWAPPED,
        CELLS,
        SILENT,
        both(SILENT, SWAPPED),
        NO_SLOPE,
        both(SILENT, NO_SLOPE),
        faster("2c-1", 2),
    ],
    "2c-3": [LITERAL, CELLS, SILENT],
    "3a-1": [LITERAL, SWAPPED, CELLS, NO_SLOPE, DOUBLE, faster("3a-1", 2), NEW_SETS, both(NEW_SETS, LATE_BIASES)],
    "3a-2": [LITERAL, SWAPPED, CELLS, SILENT, NO_SLOPE, NEW_SETS, both(NEW_SETS, LATE_BIASES)],
    "3b-1": [LITERAL, SWAPPED, CELLS, NEW_SETS],
    "3b-2": [LITERAL, WIDE, NEW_SETS, both(NEW_SETS, LATE_BIASES)],
    "3b-3": [both(NEW_SETS, LATE_BIASES)],
    "4-1": [
        LITERAL,
        LINEAR,
        both(LINEAR, SWAPPED),
        both(LINEAR, CELLS),
        both(LINEAR, SILENT),
        SILENT,
        both(LINEAR, DOUBLE),
    ],
    "5-1": [LITERAL, NO_SLOPE, both(NO_SLOPE, CELLS), LINEAR],
    "6a": [LITERAL, SWAPPED, CELLS, NO_SLOPE, DOUBLE, faster("6a", 2)],
    "6b": [LITERAL, NO_SLOPE, both(NO_SLOPE, CELLS)],
}


@dataclass(frozen=True)
class Reading:
    """A row with a change, and the trials of it that are wanted."""

    row: str
    change: Change
    trials: int
    seed: int


def try_reading(reading: Reading, sender: Sender) -> None:
    """Run the trials of a reading, and send what came of them."""
    row = next(row for row in ROWS if row.name == reading.row)
    config = literal()[row.name]
    if reading.change != LITERAL:
        config = reading.change.apply(config)
    job = Job(row, "literal", reading.trials, row.cap, reading.seed)
    trials = [
        Trial(config, seed_of(job, n), cap=job.cap, data=seed_of(job, n // 10, "data")) for n in range(job.trials)
    ]
    began = time.perf_counter()
    run_trials(trials, lambda _: None, sender.check)
    counts = [trial.solved_at for trial in trials if trial.solved_at is not None]
    wrong = [trial.test["wrong"] for trial in trials if trial.test]
    sender.send(
        {
            "row": row.name,
            "reading": reading.change.why,
            "trials": job.trials,
            "solved": len(counts),
            "mean": float(np.mean(counts)) if counts else None,
            "min": min(counts, default=None),
            "max": max(counts, default=None),
            "wrong": float(np.mean(wrong)) if wrong else None,
            "cap": job.cap,
            "paper_value": row.after,
            "seed": job.seed,
            "seconds": round(time.perf_counter() - began, 1),
        }
    )


def merged(known: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return known and new results in the order of TRIED; readings that are not tried any more come last."""
    results = {(one["row"], one["reading"]): one for one in [*known, *new]}
    order = [(row, change.why) for row, changes in TRIED.items() for change in changes]
    return [results.pop(key) for key in order if key in results] + list(results.values())


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    columns = ("row", "reading", "solved", "mean", "range", "paper", "wrong of 2560", "s")
    rows = [
        [
            one["row"],
            one["reading"],
            f"{one['solved']}/{one['trials']}",
            None if one["mean"] is None else f"{one['mean']:,.0f}",
            None if one["mean"] is None else f"{one['min']:,}-{one['max']:,}",
            f"{one['paper_value']:,}",
            None if one["wrong"] is None else f"{one['wrong']:.1f}",
            one["seconds"],
        ]
        for one in results
    ]
    lines = ["# Readings of the 1997 paper", "", *markdown_table(columns, rows), ""]
    lines += ["Means over solved trials; each trial had three times the paper's count. Written by"]
    lines += ["`python -m longlag_lab.questions.readings_1997`; docs/readings-1997.md says what the readings are.", ""]
    return "\n".join(lines)


def main() -> None:
    """Run the readings, and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="a row")
    parser.add_argument("--reading", help="one of the row's readings")
    options = parser.parse_args()
    if options.only is not None and options.only not in TRIED:
        sys.exit(f"--only is {options.only!r}; expected one of {', '.join(TRIED)}")
    readings = [
        Reading(row, change, options.trials, options.seed)
        for row in ([options.only] if options.only else TRIED)
        for change in TRIED[row]
        if options.reading in (None, change.why)
    ]
    if not readings:
        sys.exit(f"--reading is {options.reading!r}; expected one that was tried")
    results = []
    with pool(try_reading, readings, options.jobs) as messages:
        for one in messages:
            solved = f"{one['solved']}/{one['trials']}"
            print(one["row"], one["reading"], solved, one["mean"], f"{one['seconds']} s", flush=True)
            results.append(one)
    folder = Path("results", "hochreiter1997")
    document: dict[str, Any] = {"environment": environment(), "readings": merged([], results)}
    if options.only is not None and (folder / "readings.json").exists():
        known = json.loads((folder / "readings.json").read_text(encoding="utf-8"))
        results = merged(known["readings"], results)
        document = known | {"readings": results, "environment_of_the_last_row": environment()}
    write_report(folder, "readings", document, markdown(document["readings"]))


if __name__ == "__main__":
    main()
