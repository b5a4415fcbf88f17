"""Works that tests ask for, what came of them, and where it is kept."""

from __future__ import annotations

from longlag_lab.hochreiter1997.keeping import Keeper
from longlag_lab.hochreiter1997.paper import ROWS
from longlag_lab.hochreiter1997.work import Work

BY_NAME = {row.name: row for row in ROWS}


def works(*names, trials=2, cap=300, seed=3, reading="literal"):
    return [Work(BY_NAME[name], reading, trials, cap, seed) for name in names]


def plain(states):
    """What the trials came to, without the time they took."""
    return [
        {n: outcome.plain() | {"seconds": 0.0} for n, outcome in sorted(state.outcomes.items())} for state in states
    ]


def kept(folder, *works):
    """The file of each work's trials."""
    found = [Keeper(folder, resume=True).path(work) for work in works]
    assert all(path.exists() for path in found)
    return found
