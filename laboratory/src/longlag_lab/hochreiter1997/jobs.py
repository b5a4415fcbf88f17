"""Jobs: a row of a table under a variant. Jobs whose networks are alike run together, as a group."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import math
import zlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from longlag.tasks import EmbeddedReber, Task
from longlag_lab.harness import experiment
from longlag_lab.harness.config_text import config_text
from longlag_lab.hochreiter1997.adam_reference import AdamReference
from longlag_lab.hochreiter1997.competitor_configs import competitor, guessing
from longlag_lab.hochreiter1997.config import TrialConfig
from longlag_lab.hochreiter1997.paper import Row
from longlag_lab.hochreiter1997.variants import config_for

__all__ = ["Job", "JobGroup", "VariantName", "configs_of", "group_alike", "seed_of"]

VariantName = Literal["literal", "best", "today"]


@dataclass(frozen=True)
class Job:
    """A row under a variant: so many trials, each of at most ``cap`` sequences."""

    row: Row
    variant: VariantName
    trials: int
    cap: int
    seed: int

    @property
    def name(self) -> str:
        """The row and the variant, joined by a point."""
        return f"{self.row.name}.{self.variant}"

    @property
    def file_name(self) -> str:
        """The name, and a digest of everything that a trial's result depends on besides its number."""
        version = importlib.metadata.version("longlag")
        text = f"{config_text(configs_of(self, range(3)))} {self.cap} {self.seed} {version}"
        return f"{self.name}.{hashlib.sha256(text.encode()).hexdigest()[:12]}.jsonl"

    @property
    def head(self) -> dict[str, Any]:
        """What the first line of the trial file says of the job."""
        return {"row": self.row.name, "reading": self.variant, "cap": self.cap, "seed": self.seed}

    def cost(self) -> float:
        """Return roughly the time that all trials take if each reaches its cap."""
        share = 0.05 if self.variant == "today" else 1.0
        return share * self.cap * self.trials * self.length * math.sqrt(self.row.weights)

    @functools.cached_property
    def length(self) -> int:
        """Roughly the steps of a sequence: the mean of some."""
        return round(float(_task(self).draw(100, np.random.default_rng(0)).lengths.mean()))


JobGroup: TypeAlias = experiment.JobGroup[Job]


def configs_of(job: Job, trials: Sequence[int]) -> list[TrialConfig | AdamReference | str]:
    """Return the configuration of each trial, or the learner's name; in a row of several learning rates they differ."""
    if job.row.learner in ("RCC", "guess"):
        return [job.row.learner] * len(trials)
    if job.row.learner == "LSTM":
        return [config_for(job.row.name, job.variant)] * len(trials)
    return [competitor(job.row.name, trial) for trial in trials]


def seed_of(job: Job, number: int, purpose: str = "trial") -> np.random.SeedSequence:
    """Return the seed of a trial, or of the data that some trials share: the same for every variant of a row."""
    names = [zlib.crc32(text.encode()) for text in (job.row.name, purpose)]
    return np.random.SeedSequence([job.seed, *names, number])


def group_alike(missing: JobGroup) -> list[JobGroup]:
    """Return jobs whose trials can share vectors, together; the group that takes longest comes first."""
    groups: dict[Hashable, JobGroup] = {}
    for job, trials in sorted(missing, key=lambda part: part[0].cost(), reverse=True):
        groups.setdefault(_kind(job), []).append((job, trials))
    return sorted(groups.values(), key=lambda group: sum(job.cost() for job, _ in group), reverse=True)


def _kind(job: Job) -> Hashable:
    """Return what the jobs of a group have in common. A job whose trials run one by one is a group of its own."""
    config = configs_of(job, [0])[0]
    if not isinstance(config, TrialConfig):
        return job.name
    rule = type(config.rule).__name__
    # A rule over training sequences is checked at each of them; test sets are looked at after so many sequences of all.
    rhythm = None if rule == "RecentRun" else (config.check_every, getattr(config.task, "T", job.length))
    noisy_targets = getattr(config.task, "variant", None) == "c"
    return (
        config.topology,
        config.update,
        config.every_step,
        config.wide,
        config.method,
        rule,
        rhythm,
        noisy_targets,
        config.cells_when_stalled,
    )


def _task(job: Job) -> Task:
    config = configs_of(job, [0])[0]
    if isinstance(config, str):
        return guessing(job.row.name).task if config == "guess" else EmbeddedReber()
    return config.task
