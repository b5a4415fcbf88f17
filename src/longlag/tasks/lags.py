"""Tasks 2a, 2b, 2c: the first elements of a sequence decide its last one (1997 paper, section 5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from longlag.checks import one_of
from longlag.data.flat import FlatSequences
from longlag.tasks.rules import FreshRun, Rule
from longlag.tasks.task import Task, random_symbols, set_whole_numbers

__all__ = ["DistractorLag", "NoRegularityLag", "NoiseFreeLag"]

ErrorSignals = Literal["every", "end"]


class _PredictNext(Task):
    """Tasks 2a and 2b: a sequence of p + 1 symbols, first = last = x or y; after each symbol predict the next.

    Symbols: a_1..a_{p-1} are 0..p-2, x is p-1, y is p. Inputs are the first p symbols, targets the last p.
    """

    p: int

    @property
    def input_size(self) -> int:
        return self.p + 1

    @property
    def output_size(self) -> int:
        return self.p + 1

    @property
    def tolerance(self) -> float:
        return 0.25

    @property
    def rules(self) -> dict[str, Rule]:
        return {"ABS": FreshRun()}

    def _around(self, middle: NDArray[np.int32], rng: np.random.Generator) -> tuple[NDArray[np.int32], ...]:
        """Return inputs and targets, (n, p) each, for the middle parts (n, p - 1)."""
        outer = self.p - 1 + random_symbols(2, len(middle), rng)[:, None]
        return np.hstack([outer, middle]), np.hstack([middle, outer])


@dataclass(frozen=True, kw_only=True)
class NoiseFreeLag(_PredictNext):
    """Task 2a: only two sequences, (y, a_1..a_{p-1}, y) and (x, a_1..a_{p-1}, x), equally likely.

    Right: every output at every step is off by less than 0.25.

    Parameters
    ----------
    p : int
        Steps between the first element and the one it decides, at least 2.
    """

    p: int = 100

    def __post_init__(self) -> None:
        set_whole_numbers(self, p=2)

    def both(self) -> FlatSequences:
        """Return the only two sequences, x first: every draw consists of them."""
        return self._between(np.array([self.p - 1, self.p], dtype=np.int32))

    def _draw(self, n: int, rng: np.random.Generator) -> FlatSequences:
        return self._between(self.p - 1 + random_symbols(2, n, rng))

    def _between(self, outer: NDArray[np.int32]) -> FlatSequences:
        n = len(outer)
        middle = np.broadcast_to(np.arange(self.p - 1, dtype=np.int32), (n, self.p - 1))
        inputs, targets = np.hstack([outer[:, None], middle]), np.hstack([middle, outer[:, None]])
        return FlatSequences(
            inputs=inputs.ravel(),
            lengths=np.full(n, self.p, dtype=np.int64),
            targets=targets.ravel(),
            input_size=self.input_size,
            output_size=self.output_size,
            every_step=True,
        )


@dataclass(frozen=True, kw_only=True)
class NoRegularityLag(_PredictNext):
    """Task 2b: as 2a, but the middle is p - 1 random symbols among a_1..a_{p-1}, so that only the end is predictable.

    Right: every output at the sequence end is off by less than 0.25; nothing else can be asked for.

    Parameters
    ----------
    p : int
        Steps between the first element and the one it decides, at least 2.
    error_signals : {"every", "end"}
        Targets at every step, as in the paper, or at the sequence end alone.
    """

    p: int = 100
    error_signals: ErrorSignals = "every"

    def __post_init__(self) -> None:
        set_whole_numbers(self, p=2)
        one_of("error_signals", self.error_signals, get_args(ErrorSignals))

    @property
    def end_only(self) -> bool:
        return True

    def _draw(self, n: int, rng: np.random.Generator) -> FlatSequences:
        every = self.error_signals == "every"
        middle = random_symbols(self.p - 1, n * (self.p - 1), rng).reshape(n, -1)
        inputs, targets = self._around(middle, rng)
        return FlatSequences(
            inputs=inputs.ravel(),
            lengths=np.full(n, self.p, dtype=np.int64),
            targets=targets.ravel() if every else targets[:, -1].copy(),
            input_size=self.input_size,
            output_size=self.output_size,
            every_step=every,
        )


@dataclass(frozen=True, kw_only=True)
class DistractorLag(Task):
    """Task 2c: (b, x or y, q + k distractors, e); predict after the trigger e whether x or y stood second.

    k counts the distractors added until, with probability 1/10 each time, e comes instead: k = 0, 1, 2.. with
    probability 0.1 * 0.9^k, mean 9. (The paper adds the 4 other symbols and q, and prints q + 14; its own sum gives
    q + 13.) Symbols: distractors a_1..a_p are 0..p-1, e is p, b is p+1, x is p+2, y is p+3. Output unit 0 stands for x,
    unit 1 for y. Right: both are off by less than 0.2 at the sequence end.

    Parameters
    ----------
    q : int
        Least number of distractors; the time lag is at least q + 1.
    p : int
        Kinds of distractors.
    """

    q: int = 50
    p: int = 50

    def __post_init__(self) -> None:
        set_whole_numbers(self, q=0, p=1)

    @property
    def input_size(self) -> int:
        return self.p + 4

    @property
    def output_size(self) -> int:
        return 2

    @property
    def tolerance(self) -> float:
        return 0.2

    @property
    def rules(self) -> dict[str, Rule]:
        return {"ABS": FreshRun()}

    def _draw(self, n: int, rng: np.random.Generator) -> FlatSequences:
        lengths = 2 + self.q + rng.geometric(0.1, n)  # geometric counts the e too
        ends = np.cumsum(lengths) - 1
        starts = ends + 1 - lengths
        # All p kinds are equally likely. The paper writes indices up to q where it means p: with p < q there are no
        # others, and its (q + 10) / p occurrences of each need all p.
        inputs = random_symbols(self.p, int(lengths.sum()), rng)
        second = random_symbols(2, n, rng)
        inputs[starts] = self.p + 1
        inputs[starts + 1] = self.p + 2 + second
        inputs[ends] = self.p
        return FlatSequences(
            inputs=inputs,
            lengths=lengths.astype(np.int64, copy=False),
            targets=second,
            input_size=self.input_size,
            output_size=self.output_size,
        )
