"""What travels between the driver and its workers, and what an executor reports of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.distributed.sums import Sums

__all__ = [
    "Alive",
    "Answer",
    "Answered",
    "ChunkSource",
    "ChunkTask",
    "Event",
    "Handle",
    "Joined",
    "Lost",
    "Memory",
    "Request",
    "RequestKind",
    "StartFailed",
    "Store",
    "WorkerInfo",
]

RequestKind = Literal["value", "gradient", "linearise", "product", "matrix", "dense_matrix"]
"""What is computed: the loss; the loss and its gradient; both and the Gauss-Newton matrix, where a Jacobian is stored;
that matrix times a vector; the matrix, where a Jacobian is stored; the matrix, even if it takes W products."""


@dataclass(frozen=True)
class Handle:
    """The name of tensors that workers can read.

    ``location`` belongs to the executor; it is None where a handle names something without tensors.
    """

    number: int
    location: object


class Memory(Protocol):
    """A worker's view of the tensors that the driver has shared."""

    def read(self, handle: Handle) -> list[Tensor]:
        """Return the tensors of ``handle``. They must not be changed."""
        ...


class Store(Protocol):
    """The driver's side of the shared tensors."""

    def share(self, groups: Iterable[Sequence[Tensor]]) -> list[Handle]:
        """Put CPU tensors where workers can read them; return a handle for each group."""
        ...

    def release(self, handles: Iterable[Handle]) -> None:
        """Free the tensors of ``handles``, here and in the workers."""
        ...

    def next_number(self) -> int:
        """Return a number that no task or handle has had."""
        ...


class ChunkSource(Protocol):
    """The place from which a worker can read the samples of one chunk."""

    def read(self, memory: Memory) -> SequenceBatch:
        """Return the samples, in memory that the worker owns."""
        ...


@dataclass(frozen=True)
class Request:
    """What is computed on every chunk.

    kind : the numbers wanted; objective : its pickled bytes; theta, v : (W,); structural : see
    ``NetworkObjective.curvature``; seed : of the random numbers that choose which units drop out.
    """

    kind: RequestKind
    objective: Handle
    theta: Handle
    v: Handle | None = None
    structural: float = 0.0
    seed: int | None = None


@dataclass(frozen=True)
class ChunkTask:
    """One request on the chunks start..stop-1 of one data set, for one worker.

    number : of this task, unlike any other; dataset : names the data set; chunks : their sources.
    """

    number: int
    request: Request
    dataset: Handle
    chunks: tuple[ChunkSource, ...]
    start: int
    stop: int

    @property
    def handles(self) -> tuple[Handle, ...]:
        """The handles under which a worker may keep something after the task."""
        return self.request.objective, self.request.theta, self.dataset


@dataclass(frozen=True)
class Answer:
    """A worker's answer to one task: sums over its chunks and the seconds they took, or a sentence about a failure.

    user_error : whether the data or the objective are at fault, and not the worker.
    """

    number: int
    sums: Sums | None = None
    seconds: float = 0.0
    problem: str = ""
    user_error: bool = False


@dataclass(frozen=True)
class WorkerInfo:
    """A worker's first message: its process, host, versions, and the instruction set of its kernels."""

    process: int
    host: str
    versions: tuple[tuple[str, str], ...]
    kernels: str


# -- what an executor reports ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Joined:
    """A worker has started and can be given tasks."""

    worker: str
    info: WorkerInfo


@dataclass(frozen=True)
class Answered:
    """A worker has answered its task and can be given the next one."""

    worker: str
    answer: Answer


@dataclass(frozen=True)
class Alive:
    """A worker has answered a ping. It may be in the midst of a task."""

    worker: str


@dataclass(frozen=True)
class Lost:
    """A worker is dead, and its task will not be answered."""

    worker: str
    reason: str


@dataclass(frozen=True)
class StartFailed:
    """A worker died, or took too long, before it could join."""

    reason: str


Event = Joined | Answered | Alive | Lost | StartFailed
