"""The trials that have ended, one line each: a run that was cut short loses only those that were under way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from longlag.errors import CheckpointError, InputError
from longlag.io.files import writing
from longlag.io.history import History

__all__ = ["Outcome", "StoredJob", "TrialStore"]


class Outcome(Protocol):
    """What has come of a trial."""

    @property
    def trial(self) -> int:
        """The trial's number, from 0."""
        ...

    @property
    def solved(self) -> object:
        """When the task was solved; None: never."""
        ...

    @property
    def steps(self) -> int:
        """How many steps the trial took."""
        ...

    @property
    def seconds(self) -> float:
        """How long the trial took."""
        ...

    def plain(self) -> dict[str, Any]:
        """Return the outcome as JSON."""
        ...


class StoredJob(Protocol):
    """What the store has to know of a job."""

    @property
    def trials(self) -> int:
        """How many trials are wanted."""
        ...

    @property
    def file_name(self) -> str:
        """The name of the file of its trials, which differs wherever their results may differ."""
        ...

    @property
    def head(self) -> dict[str, Any] | None:
        """What the first line of the file says of the job; None: the first line is a trial."""
        ...


OutcomeT = TypeVar("OutcomeT", bound=Outcome)


class TrialStore(Generic[OutcomeT]):
    """A folder with a file of trials for each job.

    Parameters
    ----------
    folder : Path
        Made with the first trial.
    read : callable
        Makes an outcome of its JSON, or raises InputError.
    resume : bool
        False: trials of an earlier run are not read, and set aside as ``.old`` when the first new trial has ended.
    """

    def __init__(self, folder: Path, read: Callable[[Any], OutcomeT], *, resume: bool) -> None:
        self.folder, self.resume = folder, resume
        self._read = read
        self._begun: set[Path] = set()

    def path(self, job: StoredJob) -> Path:
        """Return the file of a job's trials."""
        return self.folder / job.file_name

    def load(self, job: StoredJob) -> dict[int, OutcomeT]:
        """Return the stored trials of a job, by number. CheckpointError names the line that is no trial."""
        if not self.resume:
            return {}
        path, head = self.path(job), job.head
        lines = list(enumerate(History(path).entries(), 1))
        if head is not None and lines and lines.pop(0)[1] != head:
            raise CheckpointError(f"{path}, line 1 does not say what was run; expected {head}, or no such file")
        outcomes: dict[int, OutcomeT] = {}
        for place, line in lines:
            try:
                outcome = self._read(line)
            except InputError as error:
                raise CheckpointError(
                    f"{path}, line {place} is not a trial: {error}; remove the file to run its trials again"
                ) from error
            outcomes[outcome.trial] = outcome
        return {number: outcome for number, outcome in outcomes.items() if number < job.trials}

    def add(self, job: StoredJob, outcome: OutcomeT) -> None:
        """Store a trial that has ended."""
        path = self.path(job)
        with writing(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self.resume and path not in self._begun and path.exists():
                path.replace(path.with_name(f"{path.name}.old"))
        history = History(path)
        # Without entries there is no file, or its head was cut off by a kill.
        if job.head is not None and path not in self._begun and not history.entries():
            history.append(job.head)
        self._begun.add(path)
        history.append(outcome.plain())
