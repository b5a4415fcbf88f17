"""What a person sees of a run: a table that follows it on a terminal, elsewhere a line for each row that is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from longlag_lab.harness.experiment import Progress

__all__ = ["Watch"]


class Watch:
    """Shows the progress of all jobs on standard error.

    Parameters
    ----------
    step : str
        What a trial's steps are, in the plural.
    visible : bool
        False: nothing is shown.
    """

    def __init__(self, step: str, *, visible: bool) -> None:
        self._step, self._visible = step, visible
        self._live: Live | None = None
        self._announced: set[str] = set()
        self._began = time.perf_counter()

    def __enter__(self) -> Watch:
        console = Console(stderr=True, highlight=False)
        if self._visible and console.is_terminal:
            self._live = Live(console=console, refresh_per_second=2, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, states: Sequence[Progress[Any, Any]]) -> None:
        """Show how far the jobs are now."""
        if self._live is not None:
            self._live.update(self._table(states))
            return
        for state in states:
            if self._visible and state.done and state.job.name not in self._announced:
                self._announced.add(state.job.name)
                line = f"{state.job.name}: {state.solved}/{state.job.trials} solved, {state.seconds:.1f} s"
                print(line, file=sys.stderr, flush=True)

    def _table(self, states: Sequence[Progress[Any, Any]]) -> Table:
        table = Table(box=None, pad_edge=False)
        for column in ("row", "trials solved", "ended", self._step):
            table.add_column(column, justify="left" if column == "row" else "right")
        for state in states:
            if not state.done and (state.steps or state.outcomes):
                solved, ended = f"{state.solved} of {state.job.trials}", str(len(state.outcomes))
                table.add_row(state.job.name, solved, ended, f"{state.steps:,}")
        done = sum(state.done for state in states)
        elapsed = time.perf_counter() - self._began
        table.caption = f"{done} of {len(states)} rows done, {elapsed:.0f} s so far, {_time_left(states, elapsed)}"
        return table


def _time_left(states: Sequence[Progress[Any, Any]], elapsed: float) -> str:
    """Return an upper bound: what is to come takes as long as what was done, and every trial goes on to its cap."""
    weights = [state.job.cost() for state in states]
    shares = [1.0 if s.done else min(s.steps / (s.job.trials * s.job.cap), 1.0) for s in states]
    done = sum(weight * share for weight, share in zip(weights, shares, strict=True))
    if done <= 0 or elapsed < 2:
        return "time left not known yet"
    return f"at most {elapsed * (sum(weights) / done - 1):.0f} s left"
