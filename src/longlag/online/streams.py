"""What networks that learn online read, and what they answer. Engines agree on these and on nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFAULT_OPTIONS", "Answers", "Engine", "Numbers", "ReadOptions", "Stream", "Update"]

Update = Literal["step", "sequence"]
Numbers = Mapping[str, NDArray[Any]]
"""Weights, states and traces of one network by name; shapes as ``Topology`` gives them."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Stream:
    """What one network reads in one call.

    inputs : (N,) int32 symbols or (N, I)
    lengths : (n,) int64, the sequences that these steps are; None: steps of one sequence that began before and goes on
    targets : (M,) int32 symbols or (M, K), at every step or one for each sequence; None: read on without learning
    """

    inputs: NDArray[Any]
    lengths: NDArray[np.int64] | None = None
    targets: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Answers:
    """A network's outputs (M, K) at its M targets, if ``ReadOptions.outputs``, and their absolute errors: the largest
    (M,) of the output units and the mean (M,) over them."""

    outputs: NDArray[Any] | None
    largest: NDArray[Any]
    mean: NDArray[Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class ReadOptions:
    """How networks read their streams.

    Parameters
    ----------
    learning_rate : float, or an array of one for each network
    learn : bool
        False: networks answer; weights and traces stay.
    update : {"step", "sequence"}
        Weights change at every step with an error, or at the end of each sequence by the sum of its changes.
    every_step : bool
        A target at each step; otherwise one at the last step of each sequence.
    outputs : bool
        Answers hold the outputs besides their errors.
    restore_state : bool
        Afterwards states are what they were before.
    threads : int
    """

    learning_rate: float | NDArray[Any] = 0.0
    learn: bool = True
    update: Update = "step"
    every_step: bool = True
    outputs: bool = False
    restore_state: bool = False
    threads: int = 1


DEFAULT_OPTIONS = ReadOptions()


class Engine(Protocol):
    """Some networks of one topology, numbered from 0: ``networks.Networks`` or ``reference.ReferenceNetworks``.

    All numbers are zero at first. A network computes the same bits whatever the others do.
    """

    def memory(self) -> int:
        """Return bytes that all networks take."""
        ...

    def load(self, network: int | None, numbers: Numbers, *, pending: bool = False) -> None:
        """Sets the weights and states that are named, of one network or (None) of all. The others stay.

        ``pending``: instead of weights, the sums of their changes since the sequence began.
        """
        ...

    def dump(
        self, network: int, names: Sequence[str] | None = None, *, pending: bool = False, from_snapshot: bool = False
    ) -> dict[str, NDArray[Any]]:
        """Return a copy of a network's numbers, or of those that are named.

        ``pending``: instead of weights, the sums of their changes since the sequence began. ``from_snapshot``: the
        numbers at the last ``snapshot``.
        """
        ...

    def snapshot(self) -> None:
        """Remembers all numbers as they are now, for ``dump(from_snapshot=True)``."""
        ...

    def read(self, streams: Sequence[Stream], options: ReadOptions = DEFAULT_OPTIONS) -> list[Answers]:
        """Each network reads its stream and learns as it goes; ``streams`` has one for each network."""
        ...
