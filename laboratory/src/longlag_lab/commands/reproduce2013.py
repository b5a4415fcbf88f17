"""``longlag reproduce`` for the batch paper: its figures and claims, run and printed beside what the paper has."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longlag.cli import output
from longlag.errors import InputError

if TYPE_CHECKING:
    from longlag_lab.batch2013.cases import Case
    from longlag_lab.batch2013.run import Progress
    from longlag_lab.batch2013.vectorised import Row

__all__ = ["list_cases", "meant", "reproduce"]

TIMED = "fig3b"  # compares two ways of computing, not trials of a method


def meant(names: Sequence[str], of_1997: Mapping[str, object]) -> bool:
    """Whether the names are the batch paper's. Refuses names of both papers, and options of the other one alone."""
    from longlag_lab.batch2013.cases import NAMES

    mine = [name for name in names if name in (*NAMES, TIMED, "2013")]
    if not mine:
        return False
    if len(mine) < len(names):
        other = next(name for name in names if name not in mine)
        raise InputError(f"{mine[0]!r} and {other!r} are not of one paper; expected names of one at a time")
    for option, value in of_1997.items():
        if value is not None:
            raise InputError(f"{option} goes with the rows of the 1997 paper; {mine[0]!r} has no such choice")
    return True


def list_cases(names: Sequence[str], *, rows: str | None, json: bool) -> None:
    """The rows that are asked for, and the paper's words for them."""
    from longlag_lab.batch2013.vectorised import BACKENDS

    wanted, timed = _asked(names, rows)
    found = [(case.figure, case.name, case.title, case.trials, case.paper) for case in wanted]
    found += [(TIMED, row.name, BACKENDS[row.backend], _REPEATS, row.paper) for row in timed]
    if json:
        for figure, row, title, trials, paper in found:
            described: dict[str, Any] = {"paper": "batch2013", "figure": figure, "row": row, "title": title}
            output.write(output.json_line(described | {"trials": trials, "paper_value": paper}))
        return
    body = [["2013", figure, row, title, trials, paper or "-"] for figure, row, title, trials, paper in found]
    output.print_table("longlag reproduce", ("paper", "figure", "row", "what", "trials", "paper has"), body)


def reproduce(
    names: Sequence[str],
    *,
    rows: str | None,
    trials: int | None,
    seed: int,
    jobs: int,
    out: Path,
    resume: bool,
    json: bool,
) -> None:
    """Runs, shows and writes what is asked for."""
    from longlag_lab.batch2013 import report, vectorised
    from longlag_lab.batch2013.run import Keeper, run
    from longlag_lab.harness.exclusive import alone

    wanted, timed = _asked(names, rows)
    figures = list(dict.fromkeys(case.figure for case in wanted))
    folder = out / "batch2013"
    for figure in figures:  # what cannot be joined is better known before an hour of work than after
        report.check(folder, figure)
    began = time.perf_counter()
    written: list[Path] = []
    stay = []
    keeper = Keeper(folder / "trials", resume=resume)
    with alone(folder / "trials"):
        for figure in figures:
            part = [case for case in wanted if case.figure == figure]
            states = run(part, keeper, trials=trials, seed=seed, jobs=jobs, show=_Teller(visible=not json))
            paths, better = report.write(folder, figure, states)
            written += paths
            stay += better
            _show(figure, report.SHORT, [(report.record(state), report.short_row) for state in states], json=json)
        if timed:
            found = vectorised.measure(timed, trials=trials or _REPEATS, seed=seed)
            written += vectorised.write(folder, found)
            _show(TIMED, vectorised.COLUMNS, [(row, vectorised.table_row) for row in found], json=json)
    if not json:
        files = ", ".join(map(str, written))
        output.print_line(
            f"{time.perf_counter() - began:.0f} s; {f'written to {files}' if written else 'no table written'}"
        )
    if stay:
        kept = ", ".join(f"{row['row']} ({row['trials']} trials)" for row in stay)
        print(f"longlag: {folder} keeps {kept}: this run has fewer trials", file=sys.stderr, flush=True)


_REPEATS = 15


def _show(figure: str, columns: Sequence[str], found: Sequence[tuple[dict[str, Any], Any]], *, json: bool) -> None:
    if not json:
        output.print_table(figure, columns, [cells(row) for row, cells in found])
        return
    for row, _ in found:
        output.write(output.json_line({name: value for name, value in row.items() if not name.startswith("curve")}))


def _asked(names: Sequence[str], rows: str | None) -> tuple[list[Case], list[Row]]:
    from longlag_lab.batch2013.cases import NAMES, cases
    from longlag_lab.batch2013.vectorised import ROWS

    figures = dict.fromkeys(figure for name in names for figure in ((*NAMES, TIMED) if name == "2013" else (name,)))
    found = [case for figure in figures if figure != TIMED for case in cases(figure)]
    timed = ROWS if TIMED in figures else []
    if rows is None:
        return found, timed
    asked = [name.strip() for name in rows.split(",") if name.strip()]
    known = [case.name for case in found] + [row.name for row in timed]
    for name in asked:
        if name not in known:
            raise InputError(f"there is no row {name!r} in {', '.join(figures)}; expected {', '.join(known)}")
    if not asked:
        raise InputError(f"--rows is {rows!r}; expected names such as hf,lm (longlag reproduce --list)")
    return [case for case in found if case.name in asked], [row for row in timed if row.name in asked]


class _Teller:
    """How far it is, on one line of a terminal; elsewhere a line for each row that has ended."""

    def __init__(self, *, visible: bool) -> None:
        self._visible = visible
        self._told: set[str] = set()

    def __call__(self, states: list[Progress]) -> None:
        if not self._visible:
            return
        ended = [state for state in states if len(state.ended) == state.trials]
        if sys.stderr.isatty():
            trials, total = sum(len(state.ended) for state in states), sum(state.trials for state in states)
            solved = sum(state.solved for state in states)
            said = f"{states[0].case.figure}: {trials} of {total} trials ended, {solved} solved"
            print(f"\r\x1b[K{said}", end="\n" if trials == total else "", file=sys.stderr, flush=True)
            return
        for state in ended:
            if state.case.name not in self._told:
                self._told.add(state.case.name)
                said = f"{state.case.name}: {state.solved}/{state.trials} solved, {state.seconds:.1f} s"
                print(said, file=sys.stderr, flush=True)
