"""Task 1: predict the next symbol of strings of the embedded Reber grammar (1997 paper, section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data.flat import FlatSequences
from longlag.tasks.reber_grammar import SYMBOLS, legal_next, random_strings
from longlag.tasks.rules import AllStrings, Rule
from longlag.tasks.task import Task

__all__ = ["EmbeddedReber"]

_SET = 256  # strings in the training set, and in the test set


@dataclass(frozen=True, kw_only=True)
class EmbeddedReber(Task):
    """Task 1: inputs are a string without its last symbol, targets the string without its first.

    Symbols 0..6 are B, T, P, S, X, V, E. Right: after each symbol, the output units of all symbols that may come next
    are more active than all others.
    """

    @property
    def input_size(self) -> int:
        return len(SYMBOLS)

    @property
    def output_size(self) -> int:
        return len(SYMBOLS)

    @property
    def tolerance(self) -> float:
        """Zero: ``errors`` is negative where, and only where, the string is right."""
        return 0.0

    @property
    def rules(self) -> dict[str, Rule]:
        return {"all": AllStrings()}

    def strings(self, n: int, rng: np.random.Generator) -> list[str]:
        """Return ``n`` random strings, such as "BTBTXSETE"."""
        flat = self.draw(n, rng)
        letters = np.array(list(SYMBOLS))
        first, rest = letters[flat.inputs[flat.starts]], letters[flat.targets]
        return [a + "".join(b) for a, b in zip(first, np.split(rest, flat.ends[:-1] + 1), strict=True)]

    def training_and_test(self, rng: np.random.Generator) -> tuple[FlatSequences, FlatSequences]:
        """Return a random training set of 256 strings, and 256 random test strings that are not among them.

        A string may stand in one set several times, as chance has it; the paper does not say otherwise.
        """
        training = self.strings(_SET, rng)
        known = set(training)
        test: list[str] = []
        while len(test) < _SET:
            test += [string for string in self.strings(_SET, rng) if string not in known]
        return _read(training), _read(test[:_SET])

    def legal(self, flat: FlatSequences) -> NDArray[np.bool_]:
        """Return the symbols that may come next at each step, (N, 7) bool.

        Raises
        ------
        InputError
            For strings that are not in the grammar.
        """
        inputs: Any = flat.inputs
        return legal_next(inputs if inputs.ndim == 1 else inputs.argmax(axis=1).astype(np.int32), flat.lengths)

    def errors(self, outputs: NDArray[np.floating[Any]], flat: FlatSequences) -> NDArray[np.float64]:
        """Return by how much, at worst, the most active impossible symbol exceeds the least active possible one, (n,).

        Not an absolute error as in other tasks: where two symbols may follow, no output is near both targets.
        """
        return super().errors(outputs, flat)

    def _row_errors(self, rows: NDArray[np.floating[Any]], flat: FlatSequences) -> NDArray[np.floating[Any]]:
        legal = self.legal(flat)
        possible = np.where(legal, rows, np.inf).min(axis=1)
        return np.asarray(np.where(legal, -np.inf, rows).max(axis=1) - possible)

    def _draw(self, n: int, rng: np.random.Generator) -> FlatSequences:
        return _flat(*random_strings(n, rng))


def _read(strings: list[str]) -> FlatSequences:
    symbols = np.array([SYMBOLS.index(letter) for letter in "".join(strings)], dtype=np.int32)
    return _flat(symbols, np.array([len(string) for string in strings], dtype=np.int64))


def _flat(symbols: NDArray[np.int32], lengths: NDArray[np.int64]) -> FlatSequences:
    ends = np.cumsum(lengths) - 1
    return FlatSequences(
        inputs=np.delete(symbols, ends),
        lengths=lengths - 1,
        targets=np.delete(symbols, ends + 1 - lengths),
        input_size=len(SYMBOLS),
        output_size=len(SYMBOLS),
        every_step=True,
    )
