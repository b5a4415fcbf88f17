"""``longlag reproduce`` for the batch paper: its figures and claims, run and printed beside what the paper has."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from longlag.cli import show
from longlag.errors import InputError

if TYPE_CHECKING:
    from longlag.experiments.batch2013.cases import Case
    from longlag.experiments.batch2013.run import Progress

__all__ = ["list_cases", "meant", "reproduce"]


def meant(names: Sequence[str], of_1997: Mapping[str, object]) -> bool:
    """Whether the names are the batch paper's. Refuses names of both papers, and options of the other one alone."""
    from longlag.experiments.batch2013.cases import NAMES

    mine = [name for name in names if name in (*NAMES, "2013")]
    if not mine:
        return False
    if len(mine) < len(names):
        other = next(name for name in names if name not in mine)
        raise InputError(f"{mine[0]!r} and {other!r} are of two papers; expected names of one at a time")
    for option, value in of_1997.items():
        if value is not None:
            raise InputError(f"{option} goes with the rows of the 1997 paper; {mine[0]!r} has no such choice")
    return True


def list_cases(names: Sequence[str], *, rows: str | None, json: bool) -> None:
    """The rows that are asked for, and the paper's words for them."""
    found = _asked(names, rows)
    if json:
        for case in found:
            show.put(
                show.json_line(
                    {
                        "paper": "batch2013",
                        "figure": case.figure,
                        "row": case.name,
                        "title": case.title,
                        "trials": case.trials,
                        "paper_value": case.paper,
                    }
                )
            )
        return
    body = [["2013", case.figure, case.name, case.title, case.trials, case.paper or "-"] for case in found]
    show.print_table("longlag reproduce", ("paper", "figure", "row", "what", "trials", "paper has"), body)


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
    from longlag.experiments.batch2013 import report
    from longlag.experiments.batch2013.run import Keeper, run

    wanted = _asked(names, rows)
    figures = list(dict.fromkeys(case.figure for case in wanted))
    folder = out / "batch2013"
    for figure in figures:  # what cannot be joined is better known before an hour of work than after
        report.check(folder, figure)
    keeper = Keeper(folder / "trials", resume=resume)
    began = time.perf_counter()
    written, stay = [], []
    with keeper.alone():
        for figure in figures:
            part = [case for case in wanted if case.figure == figure]
            states = run(part, keeper, trials=trials, seed=seed, jobs=jobs, show=_tell if not json else lambda _: None)
            paths, better = report.write(folder, figure, states)
            written += paths
            stay += better
            found = [report.record(state) for state in states]
            if json:
                for row in found:
                    del row["by_passes"], row["by_seconds"]
                    show.put(show.json_line(row))
            else:
                show.print_table(figure, report.COLUMNS, [report.table_row(row) for row in found])
    if not json:
        files = ", ".join(map(str, written))
        show.say(f"{time.perf_counter() - began:.0f} s; {f'written to {files}' if written else 'no table written'}")
    if stay:
        kept = ", ".join(f"{row['row']} ({row['trials']} trials)" for row in stay)
        print(f"longlag: {folder} keeps {kept}: this run has fewer trials", file=sys.stderr, flush=True)


def _asked(names: Sequence[str], rows: str | None) -> list[Case]:
    from longlag.experiments.batch2013.cases import NAMES, cases

    figures = list(dict.fromkeys(figure for name in names for figure in (NAMES if name == "2013" else (name,))))
    found = [case for figure in figures for case in cases(figure)]
    if rows is None:
        return found
    asked = [name.strip() for name in rows.split(",") if name.strip()]
    known = {case.name for case in found}
    for name in asked:
        if name not in known:
            raise InputError(f"there is no row {name!r} in {', '.join(figures)}; expected {', '.join(sorted(known))}")
    if not asked:
        raise InputError(f"--rows is {rows!r}; expected names such as hf,lm (longlag reproduce --list)")
    return [case for case in found if case.name in asked]


def _tell(states: list[Progress]) -> None:
    """A line on how far it is, over the last one on a terminal."""
    done = sum(len(state.ended) for state in states)
    total = sum(state.trials for state in states)
    now = next((state for state in states if len(state.ended) < state.trials), states[-1])
    said = f"{now.case.figure}: {done} of {total} trials ended; {now.case.name}: {now.solved}/{len(now.ended)} solved"
    if sys.stderr.isatty():
        print(f"\r\x1b[K{said}", end="\n" if done == total else "", file=sys.stderr, flush=True)
    elif all(len(state.ended) in (0, state.trials) for state in states) and done:
        print(said, file=sys.stderr, flush=True)
