"""``longlag reproduce``: the papers' experiments, run and printed beside the papers' values."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from longlag.cli import output
from longlag.errors import InputError

if TYPE_CHECKING:
    from longlag_lab.hochreiter1997.paper import Row
    from longlag_lab.hochreiter1997.run import Progress
    from longlag_lab.hochreiter1997.work import Reading, Work

__all__ = ["NAMES", "list_rows", "reproduce"]

NAMES = (*(f"table{n}" for n in range(1, 10)), "limits", "1997")
READINGS: tuple[Reading, ...] = ("literal", "best", "today")


def list_rows(names: Sequence[str], *, rows: str | None, reading: str | None, json: bool) -> None:
    """The rows that are asked for (no name: of all tables), and the paper's value."""
    found = list(dict.fromkeys(row for row, _ in _asked(names or ["1997", "limits"], rows, reading)))
    if json:
        for row in found:
            output.write(output.json_line(_described(row)))
        return
    columns = ("paper", "table", "row", "learner", "what", "weights", "after", "solved")
    body = []
    for row in found:
        solved = "some" if row.solved is None else f"{row.solved:.0%}"
        after = "-" if row.after is None else f"{row.after:,}"
        body.append(["1997", row.table, row.name, row.learner, row.title, row.weights, after, solved])
    output.print_table("longlag reproduce", columns, body)


def _described(row: Row) -> dict[str, Any]:
    return {
        "paper": "hochreiter1997",
        "table": row.table,
        "row": row.name,
        "learner": row.learner,
        "title": row.title,
        "weights": row.weights,
        "trials": row.trials,
        "paper_value": row.after,
        "paper_solved": row.solved,
        "cap": row.cap,
    }


def reproduce(
    names: Sequence[str],
    *,
    rows: str | None,
    trials: int | None,
    cap: int | None,
    seed: int,
    reading: str | None,
    jobs: int,
    out: Path,
    resume: bool,
    json: bool,
) -> None:
    """Runs, shows and writes what is asked for."""
    from longlag_lab.harness.exclusive import alone
    from longlag_lab.hochreiter1997 import report
    from longlag_lab.hochreiter1997.keeping import Keeper
    from longlag_lab.hochreiter1997.run import run

    works = chosen_works(names, rows, trials, cap, seed, reading)
    tables = sorted({work.row.table for work in works})
    folder = out / "hochreiter1997"
    for number in tables:  # what cannot be joined is better known before hours of work than after
        report.check(folder, number)
    keeper = Keeper(folder / "trials", resume=resume)
    began = time.perf_counter()
    written, stay = [], []
    with alone(folder / "trials"):
        with _Watcher(visible=not json) as watcher:
            states = run(works, keeper, jobs=jobs, show=watcher)
        for number in tables:
            part = [state for state in states if state.work.row.table == number]
            paths, better = report.write(folder, number, part)
            written += paths
            stay += better
            if not json:
                shown = [report.COLUMNS.index(name) for name in report.SHORT]
                body = [[report.table_row(report.record(state))[place] for place in shown] for state in part]
                output.print_table(f"table {number}" if number else "section 6.1", report.SHORT, body)
    if json:
        for state in states:
            found = report.record(state)
            del found["curve"]
            output.write(output.json_line(found))
    else:
        files = ", ".join(map(str, written))
        output.print_line(
            f"{time.perf_counter() - began:.0f} s; {f'written to {files}' if written else 'no table written'}"
        )
    if stay:
        better_rows = ", ".join(f"{row['row']} {row['reading']} ({row['trials']} trials)" for row in stay)
        _note(f"{folder} keeps {better_rows}: this run has fewer trials, or another cap; --out DIR writes it elsewhere")


def chosen_works(
    names: Sequence[str], rows: str | None, trials: int | None, cap: int | None, seed: int, reading: str | None
) -> list[Work]:
    """What the options ask for. Raises InputError for a name, row or reading that is not there."""
    from longlag_lab.hochreiter1997.work import Work

    return [Work(row, kind, trials or row.trials, cap or row.cap, seed) for row, kind in _asked(names, rows, reading)]


def _asked(names: Sequence[str], rows: str | None, reading: str | None) -> list[tuple[Row, Reading]]:
    """Rows and readings, in the order of the paper. Says which rows have not the one reading that is asked for."""
    from longlag_lab.hochreiter1997.paper import LIMITS_TABLE, chosen
    from longlag_lab.hochreiter1997.readings import READINGS as CHANGES

    for name in names:
        if name not in NAMES:
            raise InputError(f"{name!r} cannot be reproduced; expected {', '.join(NAMES)} (longlag reproduce --list)")
    if not names:
        raise InputError(f"nothing to reproduce; expected {', '.join(NAMES)} (longlag reproduce --list)")
    if reading is not None and reading not in READINGS:
        raise InputError(f"--reading is {reading!r}; expected {', '.join(READINGS)}")
    asked = None if rows is None else [name.strip() for name in rows.split(",") if name.strip()]
    if asked == []:
        raise InputError(f"--rows is {rows!r}; expected names such as 1-1,2a,6b (longlag reproduce --list)")
    numbers = {f"table{n}": [n] for n in range(1, 10)} | {"1997": [*range(1, 10)], "limits": [LIMITS_TABLE]}
    found = chosen(list(dict.fromkeys(table for name in names for table in numbers[name])), asked)
    there: list[tuple[Row, Reading]] = []
    without = []
    for row in found:
        kinds = [kind for kind in READINGS if kind == "literal" or row.name in CHANGES[kind]]
        there += [(row, kind) for kind in kinds if reading in (None, kind)]
        if reading is not None and reading not in kinds:
            without.append(row.name)
    if not there:
        raise InputError(f"no row asked for has the reading {reading!r}; expected --reading literal, or other rows")
    if without:
        _note(f"left out, having no reading {reading!r}: {', '.join(without)}")
    return there


def _note(text: str) -> None:
    """Beside the answer, for people."""
    print("longlag:", text, file=sys.stderr, flush=True)


class _Watcher:
    """A table that follows the work on a terminal; elsewhere a line for each row that is done."""

    def __init__(self, *, visible: bool) -> None:
        self._visible = visible
        self._live: Live | None = None
        self._told: set[str] = set()
        self._began = time.perf_counter()

    def __enter__(self) -> _Watcher:
        console = Console(stderr=True, highlight=False)
        if self._visible and console.is_terminal:
            self._live = Live(console=console, refresh_per_second=2, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, states: list[Progress]) -> None:
        if self._live is not None:
            self._live.update(self._table(states))
            return
        for state in states:
            if self._visible and state.done and state.work.name not in self._told:
                self._told.add(state.work.name)
                said = f"{state.work.name}: {state.solved}/{state.work.trials} solved, {state.seconds:.1f} s"
                print(said, file=sys.stderr, flush=True)

    def _table(self, states: list[Progress]) -> Table:
        table = Table(box=None, pad_edge=False)
        for column in ("row", "reading", "trials solved", "ended", "sequences"):
            table.add_column(column, justify="left" if column in ("row", "reading") else "right")
        for state in states:
            if not state.done and (state.sequences or state.outcomes):
                work = state.work
                table.add_row(
                    work.row.name,
                    work.reading,
                    f"{state.solved} of {work.trials}",
                    str(len(state.outcomes)),
                    f"{state.sequences:,}",
                )
        done = sum(state.done for state in states)
        elapsed = time.perf_counter() - self._began
        table.caption = f"{done} of {len(states)} rows done, {elapsed:.0f} s so far, {_left(states, elapsed)}"
        return table


def _left(states: list[Progress], elapsed: float) -> str:
    """Time left if all that is to come takes as long as what was done, and every trial its cap: an upper bound."""
    weight = [state.work.cost() for state in states]
    share = [1.0 if s.done else min(s.sequences / (s.work.trials * s.work.cap), 1.0) for s in states]
    done = sum(w * part for w, part in zip(weight, share, strict=True))
    if done <= 0 or elapsed < 2:
        return "time left not known yet"
    return f"at most {elapsed * (sum(weight) / done - 1):.0f} s left"
