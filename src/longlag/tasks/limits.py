"""Tasks the 1997 paper names as hard, or easy, for its algorithm (section 6.1): delayed XOR, parity, counting steps.

The paper gives no more than the idea of each; sizes, noise, tolerance and rule are this package's. Targets are 0 or 1,
one output unit, at the sequence end; right when it is off by less than 0.2, as in task 3a.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longlag.data.flat import FlatSequences
from longlag.errors import InputError
from longlag.tasks.rules import Rule, TestSet
from longlag.tasks.task import Task, random_lengths, set_whole_numbers

__all__ = ["Counting", "DelayedXor", "Parity"]


class _Binary(Task):
    """A task with one output unit, whose target is 0 or 1."""

    @property
    def output_size(self) -> int:
        return 1

    @property
    def tolerance(self) -> float:
        return 0.2

    @property
    def rules(self) -> dict[str, Rule]:
        return {"ST1": TestSet()}


@dataclass(frozen=True, kw_only=True)
class DelayedXor(_Binary):
    """Pairs (value, marker): two marked values are +1 or -1, the others uniform noise in [-1, 1); do the two differ?

    The marker is 1 at the two, else 0. They stand, counted from 1, at T/10..T/5 and T/2..T/2 + T/10, as the symbols of
    task 6a, so that neither stands near the other or the end.

    Parameters
    ----------
    T : int
        Least length, at least 10; lengths are uniform in T..T + T // 10.
    """

    T: int = 100

    def __post_init__(self) -> None:
        set_whole_numbers(self, T=10)

    @property
    def input_size(self) -> int:
        return 2

    def _draw(self, n: int, rng: np.random.Generator) -> FlatSequences:
        lengths = random_lengths(self.T, n, rng)
        starts = np.cumsum(lengths) - lengths
        values = rng.random(int(lengths.sum()), dtype=np.float32)
        values *= 2.0
        values -= 1.0
        inputs = np.zeros((len(values), 2), dtype=np.float32)
        inputs[:, 0] = values
        differ = np.zeros(n, dtype=np.bool_)
        tenth = self.T // 10
        for low, high in ((tenth, self.T // 5), (self.T // 2, self.T // 2 + tenth)):
            bit = rng.integers(0, 2, n, dtype=np.int8) == 1
            place = starts + rng.integers(low - 1, high, n)
            inputs[place, 0] = np.where(bit, np.float32(1), np.float32(-1))
            inputs[place, 1] = 1.0
            differ ^= bit
        targets = differ.astype(np.float32)[:, None]
        return FlatSequences(inputs=inputs, lengths=lengths, targets=targets, input_size=2, output_size=1)


@dataclass(frozen=True, kw_only=True)
class Parity(_Binary):
    """T inputs, each +1 or -1; the target is 1 if the number of +1 is odd.

    Parameters
    ----------
    T : int
        The length of every sequence.
    """

    T: int = 500

    def __post_init__(self) -> None:
        set_whole_numbers(self, T=1)

    @property
    def input_size(self) -> int:
        return 1

    def _draw(self, n: int, rng: np.random.Generator) -> FlatSequences:
        bits = rng.integers(0, 2, (n, self.T), dtype=np.int8)
        inputs = bits.astype(np.float32)
        inputs *= 2.0
        inputs -= 1.0
        targets = (bits.sum(axis=1, dtype=np.int64) % 2).astype(np.float32)[:, None]
        lengths = np.full(n, self.T, dtype=np.int64)
        return FlatSequences(
            inputs=inputs.reshape(-1, 1), lengths=lengths, targets=targets, input_size=1, output_size=1
        )


@dataclass(frozen=True, kw_only=True)
class Counting(_Binary):
    """A signal stood ``short`` (target 0) or ``long`` (target 1) steps before the trigger that ends the sequence.

    Symbols: 0 is silence, 1 the signal, 2 the trigger. The class is a fair coin; lengths are uniform in
    long + 1..2 * long for both classes, so that the length alone tells nothing.

    Parameters
    ----------
    short, long : int
        Steps from the signal to the trigger, 1 <= short < long.
    """

    short: int = 3
    long: int = 11

    def __post_init__(self) -> None:
        set_whole_numbers(self, short=1, long=1)
        if self.long <= self.short:
            raise InputError(f"long is {self.long}; expected more than short, which is {self.short}")

    @property
    def input_size(self) -> int:
        return 3

    def _draw(self, n: int, rng: np.random.Generator) -> FlatSequences:
        lengths = rng.integers(self.long + 1, 2 * self.long, n, endpoint=True)
        ends = np.cumsum(lengths) - 1
        far = rng.integers(0, 2, n, dtype=np.int8) == 1
        inputs = np.zeros(int(lengths.sum()), dtype=np.int32)
        inputs[ends - np.where(far, self.long, self.short)] = 1
        inputs[ends] = 2
        targets = far.astype(np.float32)[:, None]
        return FlatSequences(inputs=inputs, lengths=lengths, targets=targets, input_size=3, output_size=1)
