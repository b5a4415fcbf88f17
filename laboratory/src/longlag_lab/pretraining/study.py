"""The study: each variant taught with a few seeds, each trial stored as it ends, and what comes of it tabulated."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from longlag.io.json import encode_json
from longlag_lab.harness.pool import Sender, pool
from longlag_lab.harness.store import TrialStore
from longlag_lab.pretraining.settings import PretrainingSettings
from longlag_lab.pretraining.study_trial import Trial, run_trial
from longlag_lab.pretraining.variants import Variant

__all__ = ["Job", "StudyProgress", "run_study"]


@dataclass(frozen=True)
class Job:
    """So many trials of equal settings but for their seeds, which are 0, 1, 2, ..."""

    settings: PretrainingSettings
    trials: int

    @property
    def file_name(self) -> str:
        """A digest of everything that a trial's result depends on besides its number."""
        parts = {
            "settings": self.settings.document(),
            "prior": dataclasses.asdict(self.settings.prior()),
            "version": importlib.metadata.version("longlag"),
        }
        return f"{hashlib.sha256(encode_json(parts, 'settings')).hexdigest()[:12]}.jsonl"

    @property
    def head(self) -> dict[str, Any]:
        """The settings, for people who look into the file."""
        return {"settings": self.settings.document()}


@dataclass(frozen=True)
class StudyProgress:
    """How many trials have ended, and how many updates of those that are left are made."""

    ended: int
    trials: int
    updates: int
    of: int


Unit: TypeAlias = tuple[Job, int]


def run_study(
    rows: Sequence[Variant],
    folder: Path,
    *,
    trials: int,
    processes: int,
    resume: bool,
    real: bool,
    show: Callable[[StudyProgress], object] = lambda _: None,
) -> dict[PretrainingSettings, list[Trial]]:
    """Run the trials that the folder does not have, and return those of each variant's settings.

    Parameters
    ----------
    rows : sequence of Variant
    folder : Path
        Of the files of trials.
    trials : int
        Seeds of each variant.
    processes : int
        Trials at work side by side, each on one thread.
    resume : bool
        Keep the trials that have ended.
    real : bool
        Also score the training parts of M3 and Tourism.
    show : callable
        Called as trials go on.
    """
    store = TrialStore(folder, functools.partial(Trial.read, real=real), resume=resume)
    jobs = list(dict.fromkeys(Job(row.settings, trials) for row in rows))
    outcomes = {job: store.load(job) for job in jobs}
    units = [(job, number) for job in jobs for number in range(trials) if number not in outcomes[job]]
    running: dict[Unit, int] = {}
    ended, of = len(jobs) * trials - len(units), sum(job.settings.updates for job, _ in units)

    def tell() -> None:
        show(StudyProgress(ended, len(jobs) * trials, sum(running.values()), of))

    tell()
    with pool(functools.partial(_perform, real=real), units, processes) as messages:
        for unit, message in messages:
            if isinstance(message, Trial):
                job, number = unit
                outcomes[job][number] = message
                store.add(job, message)
                ended += 1
                running[unit] = job.settings.updates
            else:
                running[unit] = message
            tell()
    return {job.settings: [some[number] for number in sorted(some)] for job, some in outcomes.items()}


_SECONDS = 2.0  # between two messages about progress


def _perform(unit: Unit, sender: Sender, *, real: bool) -> None:
    job, number = unit
    told = time.monotonic()

    def running(updates: int) -> None:
        nonlocal told
        sender.check()
        if time.monotonic() - told >= _SECONDS:
            told = time.monotonic()
            sender.send((unit, updates))

    sender.send((unit, run_trial(job.settings, number, real=real, running=running)))
