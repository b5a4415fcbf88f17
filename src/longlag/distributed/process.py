"""ProcessExecutor: workers are processes of this machine, which read the data from memory they share."""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Iterable, Sequence
from multiprocessing.connection import wait
from typing import Any

from torch import Tensor

from longlag.checks import true_or_false, whole_number
from longlag.distributed.executor import KEEP, Executor
from longlag.distributed.messages import (
    Alive,
    Answered,
    ChunkTask,
    Event,
    Handle,
    Joined,
    Lost,
    StartFailed,
    WorkerInfo,
)
from longlag.distributed.process_handle import WorkerProcess
from longlag.distributed.shared_memory import Segment
from longlag.errors import ClusterError

__all__ = ["ProcessExecutor"]

START_SECONDS = 120.0  # until a process has to say who it is; importing PyTorch takes some of them
MOST_WORKERS = 1024


class ProcessExecutor(Executor):
    """Workers in processes of this machine, each on one thread.

    They need no ``if __name__ == "__main__"``, and end with this process, however it ends and whatever they are doing.
    One that dies, or has not joined two minutes after its start, is replaced, until as many as were asked for have died
    in a row and none has answered anything meanwhile.

    Parameters
    ----------
    workers : int
        How many, 1024 at most. As many as there are cores is best.
    replace : bool
        Whether those that die are replaced.
    keep : int
        Bytes of samples that each keeps.

    Raises
    ------
    InputError
        If an option cannot be used.
    ClusterError
        If the system refuses so many processes.
    """

    def __init__(self, workers: int, *, replace: bool = True, keep: int = KEEP) -> None:
        super().__init__()
        self._requested = whole_number("workers", workers, 1, MOST_WORKERS)
        true_or_false("replace", replace)
        self.replace, self.keep = replace, whole_number("keep", keep, 0)
        self._processes: dict[str, WorkerProcess] = {}
        self._segments: dict[int, Segment] = {}
        self._users: dict[int, int] = {}  # of each segment: handles that are not released
        self._reported: list[Event] = []  # that ``_wait`` has yet to return
        self._end = weakref.finalize(self, _end_all, self._processes, self._segments)
        self._started = 0
        self._deaths = 0  # since the last answer
        try:
            for _ in range(self._requested):
                self._start()
        except ClusterError:
            self.close()
            raise

    def add(self) -> None:
        """Start one more worker. It joins when it is ready, in the midst of whatever the others do.

        Raises
        ------
        ClusterError
            If the system refuses a process.
        """
        self.check_open()
        self._start()

    @property
    def processes(self) -> dict[str, int]:
        """Process numbers by worker; those that have not joined yet too."""
        return {name: process.popen.pid for name, process in self._processes.items()}

    @property
    def expecting(self) -> bool:
        """Whether a process has been started and has not joined yet."""
        return bool(self._reported) or any(not process.joined for process in self._processes.values())

    # -- workers ---------------------------------------------------------------------------------------------------

    def _entry(self, number: int) -> tuple[str, tuple[object, ...]]:
        """Return the module whose ``main`` worker ``number`` runs, and further arguments: a place for subclasses."""
        del number
        return "longlag.distributed.process_main", ()

    def _start(self) -> None:
        self._started += 1
        name = f"worker {self._started}"
        self._processes[name] = WorkerProcess.start(name, self.keep, *self._entry(self._started))

    def _lose(self, process: WorkerProcess, fault: str = "") -> Event:
        """Take leave of a process that is dead, or that is killed for a ``fault``; start another one in its place."""
        del self._processes[process.name]
        end = process.end(kill=bool(fault))
        self._deaths += 1
        if self.replace and self._deaths <= self._requested:
            try:
                self._start()
            except ClusterError as error:
                self._reported.append(StartFailed(str(error)))
        if process.joined:
            return Lost(process.name, fault or end)
        return StartFailed(f"{process.name} could not be started: {fault or end}")

    def _submit(self, worker: str, task: ChunkTask) -> None:
        process = self._processes[worker]
        try:
            process.send(task, self._segments)
        except OSError as error:
            self._reported.append(self._lose(process, _fault(error)))

    def _ping(self, worker: str) -> None:
        self._processes[worker].ping()

    def _wait(self, seconds: float) -> list[Event]:
        events, self._reported = self._reported, []
        lines: dict[Any, WorkerProcess] = {}
        for process in self._processes.values():
            lines[process.connection] = lines[process.lifeline] = process
        ready = wait(list(lines), 0.0 if events else seconds) if lines else []
        for line in ready:
            process = lines[line]
            if line is process.lifeline:
                if process.pong():
                    events.append(Alive(process.name))
            elif process.name in self._processes:
                events.append(self._receive(process))
        for process in list(self._processes.values()):
            if process.popen.poll() is not None:  # its line may be held open by a process that it has started
                events.append(self._lose(process))
            elif not process.joined and time.monotonic() - process.started > START_SECONDS:
                events.append(self._lose(process, f"it did not join within {START_SECONDS:g} seconds"))
        return events

    def _receive(self, process: WorkerProcess) -> Event:
        try:
            message = process.receive()
        except (EOFError, OSError) as error:
            return self._lose(process, _fault(error))
        if isinstance(message, WorkerInfo):
            return Joined(process.name, message)
        self._deaths = 0
        return Answered(process.name, message)

    def _dismiss(self, worker: str) -> None:
        self._processes.pop(worker).end(kill=True)

    # -- memory ----------------------------------------------------------------------------------------------------

    def share(self, groups: Iterable[Sequence[Tensor]]) -> list[Handle]:
        segment, number = Segment(), self.next_number()
        self._segments[number] = segment
        handles = [Handle(self.next_number(), (number, segment.append(tensors))) for tensors in groups]
        self._users[number] = len(handles)
        return handles

    def release(self, handles: Iterable[Handle]) -> None:
        if self.closed:
            return
        numbers = set()
        for handle in handles:
            numbers.add(handle.number)
            if handle.location is not None:
                number = handle.location[0]  # type: ignore[index]
                self._users[number] -= 1
                if not self._users[number]:
                    del self._users[number]
                    self._segments.pop(number).close()
        for process in self._processes.values():
            process.cache.release(numbers)

    def _close(self) -> None:
        self._end()


def _fault(error: Exception) -> str:
    """Return why a process that has not ended is to be killed; "" for one that has."""
    return "it stopped in the midst of a message" if isinstance(error, BlockingIOError) else ""


def _end_all(processes: dict[str, WorkerProcess], segments: dict[int, Segment]) -> None:
    """Kill the processes, idle or not, stopped or not: nobody waits for an answer, and they have nothing to save."""
    for process in processes.values():
        with contextlib.suppress(ProcessLookupError):
            process.popen.kill()
    for process in processes.values():
        process.end(kill=True)
    processes.clear()
    for segment in segments.values():
        segment.close()
    segments.clear()
