"""The embedded Reber grammar as an automaton over many strings at once (1997 paper, Figures 3 and 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longlag.errors import InputError

__all__ = ["SYMBOLS", "legal_next", "random_strings"]

SYMBOLS = "BTPSXVE"

# Figure 3: state -> {symbol: next state}; 7 is the end.
_REBER = {
    0: {"B": 1},
    1: {"T": 2, "P": 3},
    2: {"S": 2, "X": 4},
    3: {"T": 3, "V": 5},
    4: {"X": 3, "S": 6},
    5: {"P": 4, "V": 6},
    6: {"E": 7},
}
# Figure 4: two copies of Figure 3, states 2..9 behind a T and 10..17 behind a P, each closed by the same letter.
_AFTER_T, _AFTER_P = 2, 10
_EMBEDDED = {
    0: {"B": 1},
    1: {"T": _AFTER_T, "P": _AFTER_P},
    **{copy + state: {s: copy + to for s, to in edges.items()} for copy in (2, 10) for state, edges in _REBER.items()},
    _AFTER_T + 7: {"T": 18},
    _AFTER_P + 7: {"P": 18},
    18: {"E": 19},
}
_END, _REFUSED = 19, 20

# Next state by state and symbol. A string that has ended stays there while others run on; one that has left the
# grammar never comes back.
_NEXT = np.full((21, len(SYMBOLS)), _REFUSED, dtype=np.int8)
_CHOICE = np.zeros((21, 2), dtype=np.int8)  # the symbols on the two edges out of a state; the same twice if it has one
for _state, _edges in _EMBEDDED.items():
    _out = [SYMBOLS.index(symbol) for symbol in _edges]
    _NEXT[_state, _out] = list(_edges.values())
    _CHOICE[_state] = _out
_LEGAL = _NEXT != _REFUSED
_RUNNING = _NEXT.copy()
_RUNNING[_END] = _END


def random_strings(n: int, rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return ``n`` strings, each edge equally likely: their symbols one after the other, and their lengths (n,)."""
    state = np.zeros(n, dtype=np.int8)
    columns, running = [], []
    while (state != _END).any():
        running.append(state != _END)
        columns.append(_CHOICE[state, rng.integers(0, 2, n, dtype=np.int8)])
        state = _RUNNING[state, columns[-1]]
    real = np.array(running).T
    return np.array(columns).T[real].astype(np.int32), real.sum(axis=1, dtype=np.int64)


def legal_next(symbols: NDArray[np.int32], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which symbols may follow each one, given all before it in its string: (N, 7) in the order of SYMBOLS.

    ``symbols``: (N,) strings, or beginnings of strings, one after the other.

    Raises
    ------
    InputError
        For a string that is not in the grammar.
    """
    starts = np.cumsum(lengths) - lengths
    state = np.zeros(len(lengths), dtype=np.int8)
    legal = np.zeros((len(symbols), len(SYMBOLS)), dtype=np.bool_)
    for step in range(int(lengths.max())):
        running = lengths > step
        rows = starts[running] + step
        state[running] = _NEXT[state[running], symbols[rows]]
        if (state == _REFUSED).any():
            number = int((state == _REFUSED).argmax())
            read = "".join(SYMBOLS[symbol] for symbol in symbols[starts[number] : starts[number] + step + 1])
            raise InputError(f"string {number} begins {read}; expected a string of the embedded Reber grammar")
        legal[rows] = _LEGAL[state[running]]
    return legal
