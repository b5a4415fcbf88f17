"""Tasks 6a and 6b: classify by the order of a few widely separated symbols (1997 paper, section 5.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from longlag.checks import is_whole
from longlag.data.flat import FlatSequences
from longlag.errors import InputError
from longlag.tasks.rules import RecentRun, Rule
from longlag.tasks.task import Task, random_lengths, random_symbols

__all__ = ["TemporalOrder"]

_SHORTEST = 100
# Counted from 1: with 60 and 76 as the last places the least lags are the 40 and 24 of Table 10, column 3.
_PLACES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}


@dataclass(frozen=True, kw_only=True)
class TemporalOrder(Task):
    """E, then 98 to 108 symbols among a, b, c, d save 2 or 3 that are X or Y, then B; the class is the order of X, Y.

    Symbols: a, b, c, d are 0..3, E is 4, B is 5, X is 6, Y is 7. The class is a binary number, first symbol first, X
    for 0 and Y for 1: XX, XY, YX, YY are 0..3 (the paper's Q, R, S, U), XXX, XXY .. YYY are 0..7 (Q, R, S, U, V, A, B,
    C). One output unit per class, a target at the sequence end alone. Right: all are off by less than 0.3.

    Parameters
    ----------
    relevant : {2, 3}
        How many symbols are X or Y: 2 is task 6a, 3 is task 6b.
    """

    relevant: Literal[2, 3] = 2

    def __post_init__(self) -> None:
        if not is_whole(self.relevant) or self.relevant not in _PLACES:
            raise InputError(f"relevant is {self.relevant!r}; expected 2 (task 6a) or 3 (task 6b)")

    @property
    def input_size(self) -> int:
        return 8

    @property
    def output_size(self) -> int:
        return int(2**self.relevant)

    @property
    def tolerance(self) -> float:
        return 0.3

    @property
    def rules(self) -> dict[str, Rule]:
        return {"ST3": RecentRun(mean_error_below=0.1)}

    def _draw(self, n: int, rng: np.random.Generator) -> FlatSequences:
        lengths = random_lengths(_SHORTEST, n, rng)
        ends = np.cumsum(lengths) - 1
        starts = ends + 1 - lengths
        inputs = random_symbols(4, int(lengths.sum()), rng)
        inputs[starts] = 4
        inputs[ends] = 5
        classes = np.zeros(n, dtype=np.int32)
        for low, high in _PLACES[self.relevant]:
            symbol = random_symbols(2, n, rng)
            inputs[starts + rng.integers(low - 1, high, n)] = 6 + symbol
            classes = 2 * classes + symbol
        return FlatSequences(
            inputs=inputs, lengths=lengths, targets=classes, input_size=8, output_size=self.output_size
        )
