"""SerialExecutor: one worker, in this process. What every other executor must equal, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor

from longlag.distributed.executor import Executor
from longlag.distributed.question import Answered, Event, Handle, Joined, Task
from longlag.distributed.worker import Worker, greeting

__all__ = ["SerialExecutor"]

_NAME = "worker 1"


class SerialExecutor(Executor):
    """Answers every task here and now, on one thread. The data is not copied but for the chunk that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self._worker = Worker(self, keep=0)
        self._events: list[Event] = [Joined(_NAME, greeting())]

    @property
    def hopeful(self) -> bool:
        """Until its one worker has joined."""
        return bool(self._events)

    def read(self, handle: Handle) -> list[Tensor]:
        """As the worker's memory: what was shared."""
        tensors = handle.where
        assert isinstance(tensors, list)
        return tensors

    def share(self, groups: Iterable[Sequence[Tensor]]) -> list[Handle]:
        return [Handle(self.numbered(), list(tensors)) for tensors in groups]

    def release(self, handles: Iterable[Handle]) -> None:
        self._worker.forget({handle.number for handle in handles})

    def _submit(self, worker: str, task: Task) -> None:
        self._events.append(Answered(worker, self._worker.answer(task)))

    def _wait(self, seconds: float) -> list[Event]:
        found, self._events = self._events, []
        return found

    def _dismiss(self, worker: str) -> None:
        raise AssertionError("this process runs the versions of this process")

    def _close(self) -> None:
        self._events = []
