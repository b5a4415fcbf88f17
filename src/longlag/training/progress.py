"""A progress bar on the terminal: epoch, loss, throughput, time left."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["ProgressBar"]


class ProgressBar:
    """An ``Observer`` that draws to standard error; on something that is not a terminal it stays silent.

    Parameters
    ----------
    max_epochs : int
        Full length of the bar; early stopping ends it sooner.
    """

    def __init__(self, max_epochs: int, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self.max_epochs = max_epochs
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[of]}"),
            BarColumn(),
            TextColumn("{task.fields[loss]}"),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("train", total=max_epochs, epoch=0, of=max_epochs, loss="", rate="")
        self._since, self._sequences, self._steps = time.monotonic(), 0, 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def batch_done(self, epoch: int, batch: int, batches: int, sequences: int, steps: int) -> None:
        """Move the bar, and once a second the throughput."""
        self._sequences += sequences
        self._steps += steps
        passed = time.monotonic() - self._since
        if passed >= 1.0:
            rate = f"{self._sequences / passed:,.0f} sequences/s, {self._steps / passed:,.0f} steps/s"
            self._bar.update(self._task, rate=rate)
            self._since, self._sequences, self._steps = time.monotonic(), 0, 0
        self._bar.update(self._task, completed=epoch + (batch + 1) / batches, epoch=epoch + 1)

    def epoch_done(self, entry: dict[str, Any]) -> None:
        """Show the epoch's losses."""
        validation = entry["validation"]
        text = f"loss {entry['loss']:.4g}" + ("" if validation is None else f", validation {validation:.4g}")
        self._bar.update(self._task, completed=entry["epoch"], epoch=entry["epoch"], loss=text)
