"""Tasks 4 and 5: the sum or the product of two marked numbers (1997 paper, sections 5.4 and 5.5)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longlag.checks import true_or_false
from longlag.data.flat import FlatSequences
from longlag.tasks.rules import RecentRun, Rule
from longlag.tasks.task import Task, random_lengths, set_whole_numbers

__all__ = ["Adding", "Multiplication"]

_EARLY = 10  # the first mark stands among so many first pairs


@dataclass(frozen=True, kw_only=True)
class _Marked(Task):
    """The two tasks, but for the range of the values and the target."""

    T: int = 100
    first_may_be_marked: bool = True

    def __post_init__(self) -> None:
        set_whole_numbers(self, T=_EARLY + 1)
        true_or_false("first_may_be_marked", self.first_may_be_marked)

    @property
    def input_size(self) -> int:
        return 2

    @property
    def output_size(self) -> int:
        return 1

    @property
    def tolerance(self) -> float:
        return 0.04

    def _draw(self, n: int, rng: np.random.Generator) -> FlatSequences:
        lengths = random_lengths(self.T, n, rng)
        ends = np.cumsum(lengths) - 1
        starts = ends + 1 - lengths
        values = self._values(int(lengths.sum()), rng)
        least = 0 if self.first_may_be_marked else 1
        one = rng.integers(least, _EARLY, n)
        rank = rng.integers(least, self.T // 2 - 1, n)
        other = rank + (rank >= one)  # the rank counts unmarked pairs only
        for place in (one, other):
            values[starts[place == 0]] = self._neutral
        inputs = np.zeros((len(values), 2), dtype=np.float32)
        inputs[:, 0] = values
        inputs[starts + one, 1] = 1.0
        inputs[starts + other, 1] = 1.0
        inputs[starts, 1] = -1.0
        inputs[ends, 1] = -1.0
        targets = self._target(values[starts + one], values[starts + other])
        return FlatSequences(inputs=inputs, lengths=lengths, targets=targets[:, None], input_size=2, output_size=1)

    @property
    @abstractmethod
    def _neutral(self) -> float: ...

    @abstractmethod
    def _values(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]: ...

    @abstractmethod
    def _target(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, kw_only=True)
class Adding(_Marked):
    """Task 4: pairs (value, marker); the target is 0.5 + (X1 + X2) / 4 of the two marked values, at the sequence end.

    Values are uniform in [-1, 1). The marker is 1 at two pairs, -1 at the first and the last pair, else 0. One mark
    falls on one of the first 10 pairs, then another on one of the first T/2 - 1 pairs that are still unmarked, counted
    from the first pair: both stand among the first T/2. Should either fall on the first pair, that pair keeps its
    marker -1, and its value is set to 0, so that the other alone decides. Right: off by less than 0.04.

    Parameters
    ----------
    T : int
        Least length, at least 11, so that the first 10 pairs do not hold the last; lengths are uniform in
        T..T + T // 10.
    first_may_be_marked : bool
        False: neither mark falls on the first pair.
    """

    @property
    def rules(self) -> dict[str, Rule]:
        return {"ST3": RecentRun(mean_error_below=0.01)}

    @property
    def _neutral(self) -> float:
        return 0.0

    def _values(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        values = rng.random(count, dtype=np.float32)
        values *= 2.0
        values -= 1.0
        return values

    def _target(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.float32(0.5) + (one + other) / np.float32(4.0)


@dataclass(frozen=True, kw_only=True)
class Multiplication(_Marked):
    """Task 5: as ``Adding``, with values uniform in [0, 1) and the product X1 * X2 as target.

    The value of a marked first pair is set to 1, so that again the other alone decides.
    """

    @property
    def rules(self) -> dict[str, Rule]:
        return {"nseq140": RecentRun(wrong_below=140), "nseq13": RecentRun(wrong_below=13)}

    @property
    def _neutral(self) -> float:
        return 1.0

    def _values(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        return rng.random(count, dtype=np.float32)

    def _target(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
        return one * other
