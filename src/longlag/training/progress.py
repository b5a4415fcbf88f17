"""A progress bar on the terminal: epoch, loss, throughput, time left."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from longlag.training.callbacks import BatchEnd, Callback, TrainingInfo
from longlag.training.result import TrainingResult

__all__ = ["ProgressBar"]


class ProgressBar(Callback):
    """A callback that draws to standard error; on something that is not a terminal it stays silent.

    Early stopping ends the bar before its full length.

    Parameters
    ----------
    max_epochs : deprecated, and not used: the training says how many there are.
    console : rich's console to draw on. Default: standard error.
    """

    def __init__(self, max_epochs: int | None = None, console: Console | None = None) -> None:
        if max_epochs is not None:
            _warn("ProgressBar(max_epochs) is now ProgressBar(), which asks the training")
        self.console = console
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._since, self._sequences, self._time_steps = 0.0, 0, 0

    def on_train_start(self, training: TrainingInfo) -> None:
        """Draw an empty bar, or what a continued run has done."""
        console, stage = self.console or Console(stderr=True), training.stage
        which = f"network {stage.network + 1}/{stage.networks} " if stage.networks > 1 else ""
        self._bar = Progress(
            TextColumn(which + "epoch {task.fields[epoch]}/{task.total:.0f}"),
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
        done = training.epochs_done
        self._task = self._bar.add_task(
            "train", total=training.config.max_epochs, completed=done, epoch=done, loss="", rate=""
        )
        self._since, self._sequences, self._time_steps = time.monotonic(), 0, 0
        self._bar.start()

    def on_batch_end(self, training: TrainingInfo, batch: BatchEnd) -> None:
        """Move the bar, and once a second the throughput."""
        assert self._bar is not None
        self._sequences += batch.sequences
        self._time_steps += batch.time_steps
        passed = time.monotonic() - self._since
        if passed >= 1.0:
            rate = f"{self._sequences / passed:,.0f} sequences/s, {self._time_steps / passed:,.0f} steps/s"
            self._bar.update(self._task, rate=rate)
            self._since, self._sequences, self._time_steps = time.monotonic(), 0, 0
        self._bar.update(self._task, completed=batch.epoch - 1 + batch.batch / training.batches, epoch=batch.epoch)

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> None:
        """Show the epoch's losses."""
        assert self._bar is not None
        validation = entry["validation"]
        text = f"loss {entry['loss']:.4g}" + ("" if validation is None else f", validation {validation:.4g}")
        self._bar.update(self._task, completed=entry["epoch"], epoch=entry["epoch"], loss=text)

    def on_train_end(self, training: TrainingInfo, result: TrainingResult | None) -> None:
        """Take the bar away."""
        assert self._bar is not None
        self._bar.stop()
        self._bar = None

    def __enter__(self) -> Self:
        _warn("`with ProgressBar(...) as bar` is now train(callbacks=[ProgressBar()])")
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing: the end of the training took the bar away."""


def _warn(what: str) -> None:
    warnings.warn(f"{what}; the old form goes with the next release", DeprecationWarning, stacklevel=3)
