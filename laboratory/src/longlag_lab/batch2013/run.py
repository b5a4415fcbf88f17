"""Runs cases, several processes at a time, and keeps every trial that has ended."""

from __future__ import annotations

import hashlib
import importlib.metadata
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import torch

from longlag.errors import CheckpointError, LonglagError
from longlag.io.files import writing
from longlag.io.history import History
from longlag_lab.batch2013.cases import Case
from longlag_lab.batch2013.trial import Trial, run_trial

__all__ = ["Keeper", "Progress", "run"]


@dataclass
class Progress:
    """Of one case: the trials that have ended, by number."""

    case: Case
    trials: int
    seed: int
    ended: dict[int, Trial] = field(default_factory=dict)

    @property
    def solved(self) -> int:
        """By the test set."""
        return sum(trial.solved is not None for trial in self.ended.values())

    @property
    def seconds(self) -> float:
        """CPU time of training."""
        return sum(trial.last.seconds for trial in self.ended.values())


class Keeper:
    """Files ``<figure>.<digest>.jsonl``, one for each case: its digest is of all that a trial's result depends on.

    resume : False: what is there is set aside, as ``.old``, when the first new trial has ended
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.folder, self.resume = folder, resume
        self._begun: set[Path] = set()

    def path(self, case: Case, seed: int) -> Path:
        """Where a case's trials stand."""
        text = f"{case.problem!r} {case.recipe!r} {seed} {importlib.metadata.version('longlag')}"
        return self.folder / f"{case.figure}.{hashlib.sha256(text.encode()).hexdigest()[:12]}.jsonl"

    def load(self, case: Case, seed: int, trials: int) -> dict[int, Trial]:
        """The trials that are there, by number. CheckpointError names the line that is none."""
        if not self.resume:
            return {}
        path, found = self.path(case, seed), {}
        for number, line in enumerate(History(path).entries(), 1):
            try:
                trial = Trial.of(line)
            except (TypeError, KeyError, ValueError) as error:
                raise CheckpointError(
                    f"{path}, line {number} is not a trial; remove the file to run it again"
                ) from error
            if trial.trial < trials:
                found[trial.trial] = trial
        return found

    def add(self, case: Case, seed: int, trial: Trial) -> None:
        """One more trial has ended."""
        path = self.path(case, seed)
        with writing(path):
            if not self.resume and path not in self._begun and path.exists():
                path.replace(path.with_name(f"{path.name}.old"))
        self._begun.add(path)
        History(path).append(trial.plain())


def run(
    wanted: Sequence[Case],
    keeper: Keeper,
    *,
    trials: int | None,
    seed: int,
    jobs: int,
    show: Callable[[list[Progress]], None] = lambda _: None,
) -> list[Progress]:
    """Runs the trials that ``keeper`` does not have, case by case."""
    states = [Progress(case, trials or case.trials, seed) for case in wanted]
    for state in states:
        state.ended = keeper.load(state.case, seed, state.trials)
    missing = [(state, n) for state in states for n in range(state.trials) if n not in state.ended]
    show(states)
    for state, trial in _performed(missing, seed, jobs):
        state.ended[trial.trial] = trial
        keeper.add(state.case, seed, trial)
        show(states)
    return states


def _performed(missing: list[tuple[Progress, int]], seed: int, jobs: int) -> Iterator[tuple[Progress, Trial]]:
    if jobs == 1 or len(missing) < 2:
        before = torch.get_num_threads()
        torch.set_num_threads(1)  # as in worker processes: more threads add up in another order, to other bits
        try:
            for state, number in missing:
                yield state, run_trial(state.case.problem, state.case.recipe, number, seed)
        finally:
            torch.set_num_threads(before)
        return
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(min(jobs, len(missing)), multiprocessing.get_context("spawn"), initializer=_begin)
    open_: dict[Future[Trial], Progress] = {}
    try:
        for state, number in missing:
            open_[pool.submit(run_trial, state.case.problem, state.case.recipe, number, seed)] = state
        while open_:
            for future in wait(open_, return_when=FIRST_COMPLETED).done:
                state = open_.pop(future)
                try:
                    trial = future.result()
                except BrokenProcessPool:
                    raise LonglagError("a worker process ended before its work; is memory short?") from None
                yield state, trial
    finally:
        for process in multiprocessing.active_children():
            if open_ and process not in others:  # its trial takes minutes, and nobody waits for it any more
                process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=_leave_with_the_parent, daemon=True).start()
    torch.set_num_threads(1)


def _leave_with_the_parent() -> None:
    """A parent that is killed tells nobody, and a trial takes minutes."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
