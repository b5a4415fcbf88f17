"""What travels between the driver and the workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.distributed.sums import Sums

__all__ = [
    "Answer",
    "Answered",
    "Event",
    "Failed",
    "Greeting",
    "Handle",
    "Joined",
    "Kind",
    "Lost",
    "Memory",
    "Part",
    "Task",
]

Kind = Literal["value", "gradient", "linearise", "product", "matrix", "any matrix"]
"""The loss; with its gradient; with gradient and Gauss-Newton matrix, where that is stored; the matrix times a vector;
the matrix where it is stored; the matrix at any price."""


@dataclass(frozen=True)
class Handle:
    """Tensors that workers can read. ``where`` is the executor's own; None where there are none, and only a name."""

    number: int
    where: object


class Memory(Protocol):
    """A worker's view of what the driver has shared."""

    def read(self, handle: Handle) -> list[Tensor]:
        """The tensors. They must not be changed."""
        ...


class Part(Protocol):
    """One chunk's source."""

    def read(self, memory: Memory) -> SequenceBatch:
        """The samples, in memory of the worker's own."""
        ...


@dataclass(frozen=True)
class Task:
    """One lease's work: the question and the chunks it is asked about.

    number : of the task; objective : its pickled bytes; theta, v : (W,); dataset : the chunks' name; parts : the
    sources of chunks start..stop-1; structural : see NetworkObjective.curvature; seed : of units that are dropped.
    """

    number: int
    kind: Kind
    objective: Handle
    theta: Handle
    v: Handle | None
    dataset: Handle
    parts: tuple[Part, ...]
    start: int
    stop: int
    structural: float = 0.0
    seed: int | None = None


@dataclass(frozen=True)
class Answer:
    """Of a task: its sums, and the seconds they took; or what went wrong, in a sentence.

    mistaken : whether the data or the question are at fault, and not the worker.
    """

    number: int
    sums: Sums | None = None
    seconds: float = 0.0
    problem: str = ""
    mistaken: bool = False


@dataclass(frozen=True)
class Greeting:
    """What a worker says of itself first: process, host, versions, instruction sets of its kernels."""

    process: int
    host: str
    versions: tuple[tuple[str, str], ...]
    kernels: str


# -- what an executor reports ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Joined:
    """A worker can be given tasks; ``greeting``: what it says of itself."""

    worker: str
    greeting: Greeting


@dataclass(frozen=True)
class Answered:
    """A worker has answered, and can be given the next task."""

    worker: str
    answer: Answer


@dataclass(frozen=True)
class Lost:
    """A worker is gone, with whatever it was working on."""

    worker: str
    why: str


@dataclass(frozen=True)
class Failed:
    """A worker could not be started."""

    why: str


Event = Joined | Answered | Lost | Failed
