"""Jobs: a row of a figure, so many trials of it, each on its own."""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import dataclass
from typing import TypeAlias

from longlag_lab.batch2013.cases import Case
from longlag_lab.batch2013.outcome import Outcome
from longlag_lab.batch2013.trial import run_trial
from longlag_lab.harness import experiment
from longlag_lab.harness.config_text import config_text
from longlag_lab.harness.experiment import Report

__all__ = ["Job", "JobGroup", "each_trial", "perform"]


@dataclass(frozen=True)
class Job:
    """So many trials of a case."""

    case: Case
    trials: int
    seed: int

    @property
    def name(self) -> str:
        """The row's name."""
        return self.case.name

    @property
    def file_name(self) -> str:
        """The figure, and a digest of everything that a trial's result depends on besides its number."""
        version = importlib.metadata.version("longlag")
        text = f"{config_text(self.case.problem)} {config_text(self.case.recipe)} {self.seed} {version}"
        return f"{self.case.figure}.{hashlib.sha256(text.encode()).hexdigest()[:12]}.jsonl"

    @property
    def head(self) -> None:
        """Trial files have no line beside the trials."""
        return

    @property
    def cap(self) -> int:
        """How many evaluations a trial may take."""
        return self.case.problem.starts * self.case.recipe.most_evaluations(self.case.problem.training)

    def cost(self) -> float:
        """Return roughly the time that all trials take if each reaches its cap."""
        problem, batch = self.case.problem, self.case.recipe.batch
        samples = problem.training if batch is None else min(batch, problem.training)
        return float(self.trials * self.cap * samples * getattr(problem.task, "T", 100))


JobGroup: TypeAlias = experiment.JobGroup[Job]


def each_trial(missing: JobGroup) -> list[JobGroup]:
    """Return every trial as a group of its own, in the order of the paper."""
    return [[(job, [number])] for job, numbers in missing for number in numbers]


def perform(group: JobGroup, report: Report[Job, Outcome]) -> None:
    """Run the trials of a group one after the other."""
    for job, numbers in group:
        for number in numbers:
            report.ended(job, _run(job, number, report))


def _run(job: Job, number: int, report: Report[Job, Outcome]) -> Outcome:
    def on_look(evaluations: int) -> None:
        report.running(lambda: {job: evaluations})

    return run_trial(job.case.problem, job.case.recipe, number, job.seed, on_look)
