"""Jobs of the 1997 paper that tests run, what came of them, and where they are stored."""

from __future__ import annotations

from longlag_lab.hochreiter1997.experiment import EXPERIMENT
from longlag_lab.hochreiter1997.jobs import Job
from longlag_lab.hochreiter1997.paper import ROWS

BY_NAME = {row.name: row for row in ROWS}
run = EXPERIMENT.run


def store(folder, *, resume):
    return EXPERIMENT.store(folder, resume=resume)


def jobs(*names, trials=2, cap=300, seed=3, variant="literal"):
    return [Job(BY_NAME[name], variant, trials, cap, seed) for name in names]


def plain(states):
    """The outcomes of all trials as JSON, without the time they took."""
    return [
        {number: outcome.plain() | {"seconds": 0.0} for number, outcome in sorted(state.outcomes.items())}
        for state in states
    ]


def stored(folder, *jobs):
    """The trial file of each job, which is there."""
    paths = [store(folder, resume=True).path(job) for job in jobs]
    assert all(path.exists() for path in paths)
    return paths
