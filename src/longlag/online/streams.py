"""What networks that learn online read, and what they answer. Engines agree on these and on nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Answers", "Engine", "Numbers", "Stream", "Update"]

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
    """What a network said where it had a target: outputs (M, K) if asked for, absolute errors (M,): the largest of
    its output units, and their mean."""

    outputs: NDArray[Any] | None
    largest: NDArray[Any]
    mean: NDArray[Any]


class Engine(Protocol):
    """Some networks of one topology: ``networks.Networks`` or ``reference.ReferenceNetworks``."""

    def memory(self) -> int: ...

    def put(self, network: int | None, numbers: Numbers, *, waiting: bool = False) -> None: ...

    def take(
        self, network: int, names: Sequence[str] | None = None, *, waiting: bool = False, kept: bool = False
    ) -> dict[str, NDArray[Any]]: ...

    def keep(self) -> None: ...

    def read(
        self,
        streams: Sequence[Stream],
        *,
        learning_rate: float | NDArray[Any] = 0.0,
        learn: bool = True,
        update: Update = "step",
        every_step: bool = True,
        outputs: bool = False,
        peek: bool = False,
        threads: int = 1,
    ) -> list[Answers]: ...
