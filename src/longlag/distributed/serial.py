"""SerialExecutor: one worker, in this process. What every other executor must equal, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor

from longlag.distributed.executor import Executor
from longlag.distributed.messages import Alive, Answered, ChunkTask, Event, Handle, Joined
from longlag.distributed.worker import Worker, worker_info

__all__ = ["SerialExecutor"]

_NAME = "worker 1"


class SerialExecutor(Executor):
    """Answers every task at once, on one thread. Of the data only the chunk that is computed is copied."""

    def __init__(self) -> None:
        super().__init__()
        self._worker = Worker(self, keep=0)
        self._events: list[Event] = [Joined(_NAME, worker_info())]

    @property
    def expecting(self) -> bool:
        """Whether its one worker has yet to join."""
        return bool(self._events)

    def read(self, handle: Handle) -> list[Tensor]:
        """Return what was shared. (The executor is its worker's memory.)"""
        tensors = handle.location
        assert isinstance(tensors, list)
        return tensors

    def share(self, groups: Iterable[Sequence[Tensor]]) -> list[Handle]:
        return [Handle(self.next_number(), list(tensors)) for tensors in groups]

    def release(self, handles: Iterable[Handle]) -> None:
        self._worker.forget({handle.number for handle in handles})

    def _submit(self, worker: str, task: ChunkTask) -> None:
        self._events.append(Answered(worker, self._worker.answer(task)))

    def _ping(self, worker: str) -> None:
        self._events.append(Alive(worker))

    def _wait(self, seconds: float) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _dismiss(self, worker: str) -> None:
        raise AssertionError("this process runs the versions of this process")

    def _close(self) -> None:
        self._events = []
