"""What each ambiguity of the 1997 paper does to its counts: one change at a time, and the combinations that fit.

    python benchmarks/readings_1997.py [--jobs 2] [--trials 10] [--only 2c-1 [--reading "no hidden sources"]]

Writes results/hochreiter1997/readings.json and .md, which docs/readings-1997.md discusses; with --only, what it ran
replaces the same readings there, and all others stay. A reading's name is its
change; a row's seeds are those of `longlag reproduce`, so the literal reading repeats its trials.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longlag.io.environment import environment
from longlag.tasks import NoRegularityLag
from longlag_lab.hochreiter1997.batching import run_trials
from longlag_lab.hochreiter1997.configs import literal
from longlag_lab.hochreiter1997.jobs import Job, seed_of
from longlag_lab.hochreiter1997.paper import ROWS, Row
from longlag_lab.hochreiter1997.trial import Trial
from longlag_lab.hochreiter1997.variants import Change

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
    """All of some changes."""
    joined = {name: value for change in changes for name, value in vars(change).items() if value not in (None, False)}
    return Change(**joined | {"why": "; ".join(change.why for change in changes)})


def faster(row: str, factor: float) -> Change:
    """Another learning rate: 2 stands for the squared error without its half (A.14)."""
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


def try_reading(asked: tuple[Row, Change, int, int]) -> dict[str, Any]:
    """Some trials of a row under one reading."""
    torch.set_num_threads(1)
    row, change, trials, seed = asked
    setting = literal()[row.name] if change == LITERAL else change.apply(literal()[row.name])
    job = Job(row, "literal", trials, row.cap, seed)
    made = [Trial(setting, seed_of(job, n), cap=job.cap, data=seed_of(job, n // 10, "data")) for n in range(trials)]
    began = time.perf_counter()
    run_trials(made, lambda _: None)
    counts = [trial.solved_at for trial in made if trial.solved_at is not None]
    wrong = [trial.test["wrong"] for trial in made if trial.test]
    return {
        "row": row.name,
        "reading": change.why,
        "trials": trials,
        "solved": len(counts),
        "mean": float(np.mean(counts)) if counts else None,
        "min": min(counts, default=None),
        "max": max(counts, default=None),
        "wrong": float(np.mean(wrong)) if wrong else None,
        "cap": job.cap,
        "paper_value": row.after,
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 1),
    }


def merged(known: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was known with what was found now, in the order of TRIED; readings that are not tried any more come last."""
    all_of_them = {(one["row"], one["reading"]): one for one in [*known, *found]}
    order = [(row, change.why) for row, changes in TRIED.items() for change in changes]
    return [all_of_them.pop(key) for key in order if key in all_of_them] + list(all_of_them.values())


def markdown(found: list[dict[str, Any]]) -> str:
    lines = [
        "# Readings of the 1997 paper",
        "",
        "| row | reading | solved | mean | range | paper | wrong of 2560 | s |",
    ]
    lines.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for one in found:
        mean = "-" if one["mean"] is None else f"{one['mean']:,.0f}"
        span = "-" if one["mean"] is None else f"{one['min']:,}-{one['max']:,}"
        wrong = "-" if one["wrong"] is None else f"{one['wrong']:.1f}"
        lines.append(
            f"| {one['row']} | {one['reading']} | {one['solved']}/{one['trials']} | {mean} | {span} | "
            f"{one['paper_value']:,} | {wrong} | {one['seconds']} |"
        )
    lines += ["", "Means over solved trials; each trial had three times the paper's count. Written by"]
    lines += ["`python benchmarks/readings_1997.py`; docs/readings-1997.md says what the readings are.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="a row")
    parser.add_argument("--reading", help="one of the row's readings")
    options = parser.parse_args()
    by_name = {row.name: row for row in ROWS}
    if options.only is not None and options.only not in TRIED:
        sys.exit(f"--only is {options.only!r}; expected one of {', '.join(TRIED)}")
    rows = [options.only] if options.only else list(TRIED)
    asked = [
        (replace(by_name[name]), change, options.trials, options.seed)
        for name in rows
        for change in TRIED[name]
        if options.reading in (None, change.why)
    ]
    if not asked:
        sys.exit(f"--reading is {options.reading!r}; expected one that was tried")
    found = []
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for one in pool.imap(try_reading, asked):
            print(
                one["row"],
                one["reading"],
                f"{one['solved']}/{one['trials']}",
                one["mean"],
                f"{one['seconds']} s",
                flush=True,
            )
            found.append(one)
    folder = Path("results", "hochreiter1997")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "readings.json"
    document = {"environment": environment(), "readings": found}
    if options.only is not None and file.exists():
        known = json.loads(file.read_text())
        found = merged(known["readings"], found)
        document = known | {"readings": found, "environment_of_the_last_row": environment()}
    file.write_text(json.dumps(document, indent=1) + "\n")
    (folder / "readings.md").write_text(markdown(found))


if __name__ == "__main__":
    main()
