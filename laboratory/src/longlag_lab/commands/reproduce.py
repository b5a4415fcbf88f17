"""``longlag reproduce``: a paper's experiments, run and printed beside the paper's values."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from longlag.cli import output
from longlag.errors import InputError
from longlag_lab.commands.watch import Watch
from longlag_lab.harness.exclusive import exclusive
from longlag_lab.harness.experiment import Experiment, Job, Progress
from longlag_lab.harness.request import Request, Selection
from longlag_lab.harness.results import ResultTable, Row
from longlag_lab.harness.store import Outcome

__all__ = ["experiment_of", "list_rows", "reproduce"]

JobT = TypeVar("JobT", bound=Job)
OutcomeT = TypeVar("OutcomeT", bound=Outcome)


def experiment_of(names: Sequence[str]) -> Experiment[Any, Any]:
    """Return the paper that the names belong to: the 1997 paper, if they are not the batch paper's.

    InputError for names of both.
    """
    from longlag_lab.batch2013.experiment import EXPERIMENT as BATCH2013
    from longlag_lab.hochreiter1997.experiment import EXPERIMENT as HOCHREITER1997

    of_2013 = [name for name in names if name in BATCH2013.names]
    if not of_2013:
        return HOCHREITER1997
    if len(of_2013) < len(names):
        other = next(name for name in names if name not in of_2013)
        raise InputError(f"{of_2013[0]!r} and {other!r} are not of one paper; expected names of one at a time")
    return BATCH2013


def list_rows(experiment: Experiment[JobT, OutcomeT], request: Request, *, json: bool) -> None:
    """Print the rows that are meant, and what the paper has there."""
    selection = _select(experiment, request)
    if json:
        for document, _ in selection.listing:
            output.write(output.json_line(document))
        return
    output.print_table("longlag reproduce", experiment.list_columns, [cells for _, cells in selection.listing])


def reproduce(
    experiment: Experiment[JobT, OutcomeT],
    request: Request,
    *,
    processes: int,
    out: Path,
    resume: bool,
    json: bool,
) -> None:
    """Run, write and print what is meant."""
    selection = _select(experiment, request)
    began = time.perf_counter()
    files = _Files(experiment, selection, out / experiment.folder)
    store = experiment.store(files.folder / "trials", resume=resume)
    with exclusive(store.folder):
        with Watch(experiment.step, visible=not json) as watch:

            def show(states: list[Progress[JobT, OutcomeT]]) -> None:
                watch(states)
                files.write_finished(states)

            experiment.run(selection.jobs, store, processes=processes, show=show)
        for timing in selection.timings:
            files.write(timing.table, timing.measure())
    for table, rows in files.tables:
        if json:
            for row in rows:
                shown = {name: value for name, value in row.items() if not name.startswith("curve")}
                output.write(output.json_line(shown))
        else:
            columns = table.brief_columns
            body = [[column.cell(row) for column in columns] for row in rows]
            output.print_table(table.title, [column.name for column in columns], body)
    if not json:
        written = f"written to {', '.join(map(str, files.written))}" if files.written else "no table written"
        output.print_line(f"{time.perf_counter() - began:.0f} s; {written}")
    if files.stay:
        reason = "this run has fewer trials, or another cap; --out DIR writes it elsewhere"
        _note(f"{files.folder} keeps {', '.join(files.stay)}: {reason}")


class _Files:
    """The tables of a run, each written as soon as all its jobs are done."""

    def __init__(self, experiment: Experiment[JobT, OutcomeT], selection: Selection[JobT], folder: Path) -> None:
        self.folder = folder
        self.written: list[Path] = []
        self.stay: list[str] = []
        self._record = experiment.record
        self._rows: dict[str, list[Row]] = {}
        self._jobs: dict[str, list[JobT]] = {}
        tables: dict[str, ResultTable] = {}
        for job in selection.jobs:
            table = experiment.table(job)
            tables[table.name] = table
            self._jobs.setdefault(table.name, []).append(job)
        tables |= {timing.table.name: timing.table for timing in selection.timings}
        self._tables = tables
        for table in tables.values():  # what cannot be joined is better known before hours of work than after
            table.read(folder)

    @property
    def tables(self) -> list[tuple[ResultTable, list[Row]]]:
        """Each table with its new rows, in the order in which they were asked for."""
        return [(table, self._rows[name]) for name, table in self._tables.items()]

    def write_finished(self, states: Sequence[Progress[Any, Any]]) -> None:
        """Write every table that is complete now."""
        for name, jobs in self._jobs.items():
            mine = [state for state in states if state.job in jobs]
            if name not in self._rows and all(state.done for state in mine):
                self.write(self._tables[name], [self._record(state) for state in mine])

    def write(self, table: ResultTable, rows: list[Row]) -> None:
        """Write a table."""
        paths, stay = table.write(self.folder, rows)
        self._rows[table.name] = rows
        self.written += paths
        self.stay += [f"{' '.join(map(str, table.key(row)))} ({row['trials']} trials)" for row in stay]


def _select(experiment: Experiment[JobT, OutcomeT], request: Request) -> Selection[JobT]:
    selection = experiment.select(request)
    if selection.left_out:
        _note(f"left out, having no reading {request.variant!r}: {', '.join(selection.left_out)}")
    return selection


def _note(text: str) -> None:
    """Write a line for people, beside the answer."""
    print("longlag:", text, file=sys.stderr, flush=True)
