"""Units with one self-connection over a set of strings, all strings and all units at once: values and derivatives."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longlag.errors import InputError

__all__ = ["Floats", "Strings", "unit_gradient", "unit_values"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Strings:
    """Strings of symbols, one after the other; the task is to say which symbols may come next.

    Parameters
    ----------
    inputs, targets : int array, shape (N,)
        The symbols read, and the symbol that came next.
    lengths : int array, shape (n,)
        Symbols of each string, all at least 1; they add up to N.
    legal : bool array, shape (N, symbols)
        The symbols that could have come next.
    """

    inputs: NDArray[np.integer]
    lengths: NDArray[np.integer]
    targets: NDArray[np.integer]
    legal: NDArray[np.bool_]

    def __post_init__(self) -> None:
        count, total = len(self.inputs), int(self.lengths.sum())
        if not len(self.lengths) or self.lengths.min() < 1:
            raise InputError("lengths has an empty string, or none at all; expected lengths of at least 1")
        if self.legal.ndim != 2 or not count == total == len(self.targets) == len(self.legal):
            raise InputError(
                f"{count} inputs, {len(self.targets)} targets, legal of shape {self.legal.shape} and lengths that add "
                f"up to {total}; expected as many of each, and legal with one column per symbol"
            )
        for name, symbols in (("inputs", self.inputs), ("targets", self.targets)):
            if symbols.min() < 0 or symbols.max() >= self.legal.shape[1]:
                raise InputError(f"{name} has a symbol outside 0 to {self.legal.shape[1] - 1}, the columns of legal")

    @functools.cached_property
    def starts(self) -> list[int]:
        """Where each time step begins among rows in the order of :attr:`order`, and the end of the last."""
        active = (self.lengths[:, None] > np.arange(self.lengths.max())).sum(axis=0)
        return [0, *np.cumsum(active).tolist()]

    @functools.cached_property
    def order(self) -> NDArray[np.intp]:
        """All symbols by time step, longest strings first: row i of a step goes on from row i of the step before."""
        longest = np.argsort(-self.lengths, kind="stable")
        first = (np.cumsum(self.lengths) - self.lengths)[longest]
        return np.concatenate([first[:active] + t for t, active in enumerate(np.diff(self.starts))])

    @functools.cached_property
    def before(self) -> NDArray[np.intp]:
        """For every row from the second time step on, the row of the same string one step earlier."""
        active = np.diff(self.starts)
        rows = [start + np.arange(now) for start, now in zip(self.starts, active[1:], strict=False)]
        return np.concatenate([np.zeros(0, dtype=np.intp), *rows])

    @functools.cached_property
    def bias_and_inputs(self) -> Floats:
        """What the net reads, by time step: a 1 and the one-hot symbol, shape (N, 1 + symbols)."""
        symbols = np.eye(self.legal.shape[1])[self.inputs[self.order]]
        return np.concatenate([np.ones((len(symbols), 1)), symbols], axis=1)


def unit_values(features: Floats, weights: Floats, strings: Strings) -> Floats:
    """Return V(t) = sigma(w I(t) + w_s V(t-1)), with sigma in [-0.5, 0.5] and V(-1) = 0 (RCC, section 2).

    ``features`` I has shape (N, F), by time step; ``weights`` (F + 1, units), self weights last; the result (N, units).
    """
    values = features @ weights[:-1]
    values *= 0.5
    half = 0.5 * weights[-1]
    starts = strings.starts
    for t in range(len(starts) - 1):
        now = values[starts[t] : starts[t + 1]]
        if t:
            now += half * values[starts[t - 1] : starts[t - 1] + len(now)]
        np.tanh(now, out=now)
        now *= 0.5
    return values


def unit_gradient(features: Floats, weights: Floats, values: Floats, pull: Floats, strings: Strings) -> Floats:
    """Return the derivative of ``sum(pull * values)`` by the weights, shape (F + 1, units).

    Fahlman carries dV(t)/dw = sigma'(t) (I(t) + w_s dV(t-1)/dw) forward, one such number per weight. Their sum against
    ``pull`` is the same when delta(t) = sigma'(t) (pull(t) + w_s delta(t+1)) is carried back, one number per unit.
    """
    prime = 0.25 - values * values
    delta = prime * pull
    carry = prime
    carry *= weights[-1]
    starts = strings.starts
    for t in range(len(starts) - 2, 0, -1):
        later = delta[starts[t] : starts[t + 1]]
        rows = slice(starts[t - 1], starts[t - 1] + len(later))
        delta[rows] += carry[rows] * later
    into_self = np.einsum("nu,nu->u", delta[starts[1] :], values[strings.before])
    return np.concatenate([features.T @ delta, into_self[None]])
