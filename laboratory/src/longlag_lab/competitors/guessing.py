"""Random weight guessing (Schmidhuber and Hochreiter 1996; Hochreiter and Schmidhuber 1997, section 2.8): draw all
weights anew until a net happens to be right on a whole training set. A task that falls to it is no test of learning."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data.flat import FlatSequences
from longlag.online import select
from longlag.online.streams import Engine, ReadOptions, Stream
from longlag.online.topology import Topology
from longlag.tasks import Task
from longlag_lab.competitors import select as competitors
from longlag_lab.competitors.topology import RecurrentTopology, uniform_weights

__all__ = ["GuessResult", "Guessing"]

_STAGES = (2, 16)  # sequences read before the rest: most guesses are wrong on the first few


@dataclass(frozen=True)
class GuessResult:
    """What has come of a search.

    Parameters
    ----------
    solved : bool
        A net was right.
    guesses : int
        How many nets were drawn, the right one included.
    weights : dict, optional
        The weights of the right net.
    test_wrong, test_size : int
        On how many of so many test sequences it was wrong; 0 if no net was right.
    """

    solved: bool
    guesses: int
    weights: dict[str, NDArray[np.float64]] | None
    test_wrong: int
    test_size: int


@dataclass(frozen=True, kw_only=True)
class Guessing:
    """Guesses weights of one topology for one task.

    Parameters
    ----------
    topology : Topology or RecurrentTopology
        The 1996 architecture A1 is ``RecurrentTopology(..., hidden_size=n, reads_inputs=True, feedback=True,
        bias=True, symbols=False)``.
    task : Task
    interval : float
        Weights are uniform in [-interval, interval]; 100 in 1996.
    training_size, test_size : int
        100 each in 1996.
    tolerance : float or None
        A sequence is right when its error is below this; None: the task's own. 0.1 in 1996.
    side_by_side : int
        Guesses that are tried at once. The result does not depend on it.
    """

    topology: Topology | RecurrentTopology
    task: Task
    interval: float = 100.0
    training_size: int = 256
    test_size: int = 2560
    tolerance: float | None = None
    side_by_side: int = 64

    def run(self, seed: int, cap: int) -> GuessResult:
        """Guesses until a net is right on the whole training set, ``cap`` times at most."""
        data, tests, guesses = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3))
        stages = self._stages(self.task.draw(self.training_size, data))
        engine = self._engine(self.side_by_side)
        for first in range(0, cap, self.side_by_side):
            nets = [uniform_weights(self.topology, guesses, self.interval) for _ in range(self.side_by_side)]
            right = self._first_right(engine, nets[: cap - first], stages)
            if right is not None:
                wrong = int((~self._right(nets[right], self.task.draw(self.test_size, tests))).sum())
                return GuessResult(True, first + right + 1, nets[right], wrong, self.test_size)
        return GuessResult(False, cap, None, 0, self.test_size)

    def _first_right(
        self, engine: Engine, nets: list[dict[str, NDArray[np.float64]]], stages: list[FlatSequences]
    ) -> int | None:
        """Return the first net that is right on everything. The first stages are read by all nets at once."""
        for n, net in enumerate(nets):
            engine.load(n, net)
        alive = np.ones(len(nets), dtype=np.bool_)
        streams = [Stream(inputs=stages[0].inputs, lengths=stages[0].lengths)] * self.side_by_side
        answers = engine.read(streams, ReadOptions(learn=False, every_step=stages[0].every_step, outputs=True))
        for n in range(len(nets)):
            outputs = answers[n].outputs
            assert outputs is not None
            alive[n] = self._is_right(outputs, stages[0]).all()
        for n in np.flatnonzero(alive):
            if all(self._right(nets[n], stage).all() for stage in stages[1:]):
                return int(n)
        return None

    def _right(self, net: Mapping[str, NDArray[Any]], flat: FlatSequences) -> NDArray[np.bool_]:
        """(n,) which sequences one net is right on, spread over the lanes of a vector."""
        lanes = min(16, len(flat))
        engine = self._engine(lanes)
        engine.load(None, net)
        parts = [flat.select(part) for part in np.array_split(np.arange(len(flat)), lanes)]
        answers = engine.read(
            [Stream(inputs=part.inputs, lengths=part.lengths) for part in parts],
            ReadOptions(learn=False, every_step=flat.every_step, outputs=True),
        )
        right = [
            self._is_right(a.outputs, part) for a, part in zip(answers, parts, strict=True) if a.outputs is not None
        ]
        return np.concatenate(right)

    def _is_right(self, outputs: NDArray[Any], flat: FlatSequences) -> NDArray[np.bool_]:
        tolerance = self.task.tolerance if self.tolerance is None else self.tolerance
        return np.asarray(self.task.errors(outputs, flat) < tolerance)

    def _engine(self, count: int) -> Engine:
        if isinstance(self.topology, RecurrentTopology):
            return competitors.engine(self.topology, count)
        return select.engine(self.topology, count, side_by_side=True)

    def _stages(self, flat: FlatSequences) -> list[FlatSequences]:
        return list(_cut(flat, _STAGES))


def _cut(flat: FlatSequences, bounds: tuple[int, ...]) -> Iterator[FlatSequences]:
    edges = [0, *(bound for bound in bounds if bound < len(flat)), len(flat)]
    for first, last in itertools.pairwise(edges):
        yield flat.select(np.arange(first, last))
