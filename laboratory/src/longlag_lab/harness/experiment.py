"""An experiment: jobs of some trials each, performed where they are missing, stored as they end, and tabulated."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from longlag_lab.harness.pool import Sender, pool
from longlag_lab.harness.request import Request, Selection
from longlag_lab.harness.results import ResultTable, Row
from longlag_lab.harness.store import Outcome, StoredJob, TrialStore

__all__ = ["Experiment", "Job", "JobGroup", "Progress", "Report"]


class Job(StoredJob, Protocol):
    """A row to be run: some trials of one configuration. Jobs are hashable, and equal ones are the same job."""

    @property
    def name(self) -> str:
        """The row, as progress lines call it."""
        ...

    @property
    def cap(self) -> int:
        """How many steps a trial may take."""
        ...

    def cost(self) -> float:
        """Return roughly the time that all trials take if each reaches its cap, in any unit."""
        ...


JobT = TypeVar("JobT", bound=Job)
OutcomeT = TypeVar("OutcomeT", bound=Outcome)
JobGroup: TypeAlias = list[tuple[JobT, list[int]]]
"""Jobs whose trials run together, and the numbers of the trials that each still needs."""


class Report(Generic[JobT, OutcomeT]):
    """What the trials of a group tell the experiment while they run."""

    _SECONDS = 0.5  # between two messages about progress

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._told = -self._SECONDS

    def ended(self, job: JobT, outcome: OutcomeT) -> None:
        """A trial of the job has ended."""
        self._sender.send((job, outcome))

    def running(self, steps: Callable[[], Mapping[JobT, int]]) -> None:
        """Trials are running; ``steps()`` says how many steps the unfinished ones of each job have taken.

        To be called often: this is also where a run that was interrupted stops.
        """
        self._sender.check()
        if time.monotonic() - self._told >= self._SECONDS:
            self._told = time.monotonic()
            for job, count in steps().items():
                self._sender.send((job, count))


@dataclass
class Progress(Generic[JobT, OutcomeT]):
    """A job and what has come of it so far."""

    job: JobT
    outcomes: dict[int, OutcomeT] = field(default_factory=dict)
    running_steps: int = 0

    @property
    def done(self) -> bool:
        """Whether every trial has ended."""
        return len(self.outcomes) == self.job.trials

    @property
    def steps(self) -> int:
        """Steps of all trials, unfinished ones included."""
        return self.running_steps + sum(outcome.steps for outcome in self.outcomes.values())

    @property
    def seconds(self) -> float:
        """Time that the ended trials took, in whichever run they ended."""
        return sum(outcome.seconds for outcome in self.outcomes.values())

    @property
    def solved(self) -> int:
        """How many trials have solved the task."""
        return sum(outcome.solved is not None for outcome in self.outcomes.values())


@dataclass(frozen=True, kw_only=True)
class Experiment(Generic[JobT, OutcomeT]):
    """What a paper says of its experiments to the harness.

    Parameters
    ----------
    folder : str
        Where its results are, below the folder that the user names.
    names : tuple of str
        What of it can be reproduced: tables, figures, and the paper as a whole.
    list_columns : tuple of str
        The columns of the list of its rows.
    select : callable
        What a request means.
    step : str
        What a trial's steps are, in the plural.
    read_outcome : callable
        Makes an outcome of its JSON; the inverse of ``Outcome.plain``.
    group : callable
        Jobs and their missing trials, as groups that run together, in the order in which they are begun.
    perform : callable
        Runs a group. A function of a module, so that a worker process finds it by its name.
    record : callable
        A job's row of results, as JSON.
    table : callable
        The table in which a job has its row.
    """

    folder: str
    names: tuple[str, ...]
    list_columns: tuple[str, ...]
    select: Callable[[Request], Selection[JobT]]
    step: str
    read_outcome: Callable[[Any], OutcomeT]
    group: Callable[[JobGroup[JobT]], list[JobGroup[JobT]]]
    perform: Callable[[JobGroup[JobT], Report[JobT, OutcomeT]], None]
    record: Callable[[Progress[JobT, OutcomeT]], Row]
    table: Callable[[JobT], ResultTable]

    def store(self, folder: Path, *, resume: bool) -> TrialStore[OutcomeT]:
        """Return the trials in a folder."""
        return TrialStore(folder, self.read_outcome, resume=resume)

    def run(
        self,
        jobs: Sequence[JobT],
        store: TrialStore[OutcomeT],
        *,
        processes: int = 1,
        show: Callable[[list[Progress[JobT, OutcomeT]]], None] = lambda _: None,
    ) -> list[Progress[JobT, OutcomeT]]:
        """Run the trials that the store does not have; ``show`` gets the progress of every job, again and again."""
        states = {job: Progress[JobT, OutcomeT](job, store.load(job)) for job in jobs}
        missing = [
            (job, [number for number in range(job.trials) if number not in state.outcomes])
            for job, state in states.items()
            if not state.done
        ]
        show(list(states.values()))
        with pool(functools.partial(_perform, self.perform), self.group(missing), processes) as messages:
            for job, value in messages:
                state = states[job]
                if isinstance(value, int):
                    state.running_steps = value
                else:
                    state.outcomes[value.trial] = value
                    store.add(job, value)
                if state.done:
                    state.running_steps = 0
                show(list(states.values()))
        return list(states.values())


def _perform(
    perform: Callable[[JobGroup[JobT], Report[JobT, OutcomeT]], None], group: JobGroup[JobT], sender: Sender
) -> None:
    perform(group, Report(sender))
