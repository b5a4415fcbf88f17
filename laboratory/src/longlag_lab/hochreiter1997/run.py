"""Runs rows of the tables, several processes at a time, and keeps every trial that has ended: a run that was cut short
goes on with the trials that are missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from longlag_lab.harness.pool import Sender, pool
from longlag_lab.hochreiter1997.keeping import Keeper
from longlag_lab.hochreiter1997.outcome import Outcome
from longlag_lab.hochreiter1997.work import Bundle, Work, grouped, perform

__all__ = ["Progress", "run"]


@dataclass
class Progress:
    """Of one work: for whoever shows it."""

    work: Work
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    reading: int = 0  # sequences that unfinished trials have read
    done: bool = False

    @property
    def sequences(self) -> int:
        """All that were read."""
        return self.reading + sum(outcome.sequences for outcome in self.outcomes.values())

    @property
    def seconds(self) -> float:
        """That its trials took, in whatever run."""
        return sum(outcome.seconds for outcome in self.outcomes.values())

    @property
    def solved(self) -> int:
        """Trials that have met their rule."""
        return sum(outcome.solved is not None for outcome in self.outcomes.values())


def run(
    works: Sequence[Work],
    keeper: Keeper,
    *,
    jobs: int = 1,
    show: Callable[[list[Progress]], None] = lambda _: None,
) -> list[Progress]:
    """Performs all works, the longest first. Trials that ``keeper`` has are not run again."""
    states = {work: Progress(work, keeper.load(work)) for work in works}
    missing = [work for work in works if len(states[work].outcomes) < work.trials]
    for work in works:
        states[work].done = work not in missing
    bundles = grouped([(work, [n for n in range(work.trials) if n not in states[work].outcomes]) for work in missing])
    with pool(_perform, bundles, jobs) as messages:
        for work, kind, value in messages:
            state = states[work]
            if kind == "outcome":
                state.outcomes[value.trial] = value
                keeper.add(work, value)
            elif kind == "reading":
                state.reading = value
            else:
                state.reading, state.done = 0, True
            show(list(states.values()))
    return [states[work] for work in works]


def _perform(bundle: Bundle, sender: Sender) -> None:
    """Perform a bundle. Each message is a work, what is said of it, and a value."""

    def finished(work: Work, outcome: Outcome) -> None:
        sender.send((work, "outcome", outcome))

    told: dict[Work, float] = {}

    def reading(work: Work, count: int) -> None:
        sender.check()
        if time.perf_counter() - told.get(work, 0.0) > 0.5:
            told[work] = time.perf_counter()
            sender.send((work, "reading", count))

    perform(bundle, finished, reading)
    for work, _ in bundle:
        sender.send((work, "done", None))
