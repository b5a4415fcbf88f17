"""ProcessExecutor: workers are processes of this machine, which read the data from memory they share."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

from torch import Tensor

from longlag.data.checks import is_number, is_whole
from longlag.distributed.executor import KEEP, Executor
from longlag.distributed.question import Answer, Answered, Event, Failed, Greeting, Handle, Joined, Lost, Task
from longlag.distributed.regions import Layout, Region, View
from longlag.distributed.sums import Sums
from longlag.errors import InputError

__all__ = ["ProcessExecutor"]

START = 120.0  # seconds until a process has to say its name; importing PyTorch takes some of them
END = 5.0  # seconds that it has to end by itself


@dataclass(eq=False)
class Process:
    """The driver's end of one worker."""

    name: str
    popen: subprocess.Popen[bytes]
    connection: Connection
    since: float
    speed: float
    regions: set[int] = field(default_factory=set)  # that it can read
    forgotten: set[int] = field(default_factory=set)  # handles it may drop, which it hears of with its next task
    results: View | None = None
    greeted: bool = False

    def end(self) -> str:
        """Wait for its end, hastening it if need be, and say what it was."""
        self.connection.close()
        if self.results is not None:
            self.results.close()
            self.results = None
        try:
            code = self.popen.wait(END)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            code = self.popen.wait()
        if code >= 0:
            return f"it ended with exit code {code}"
        with contextlib.suppress(ValueError):
            return f"it was ended by {signal.Signals(-code).name}"
        return f"it was ended by signal {-code}"


class ProcessExecutor(Executor):
    """Workers in processes of this machine, each on one thread.

    They need no ``if __name__ == "__main__"``, and end with this process, however it ends. One that dies is replaced,
    until as many as were asked for have died in a row and none has answered anything meanwhile.

    Parameters
    ----------
    workers : int
        How many. As many as there are cores is best.
    replace : bool
        Whether those that die are replaced.
    keep : int
        Bytes of samples that each keeps.
    speeds : sequence of float, one per worker, optional
        To measure with workers of different speed: each answers as late as a processor of so many times this one's
        speed would, which is at most 1.

    Raises
    ------
    InputError
        If an option cannot be used.
    """

    def __init__(
        self, workers: int, *, replace: bool = True, keep: int = KEEP, speeds: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        if not is_whole(workers) or workers < 1:
            raise InputError(f"workers is {workers!r}; expected a whole number of at least 1")
        if not is_whole(keep) or keep < 0:
            raise InputError(f"keep is {keep!r}; expected a number of bytes")
        if speeds is not None and len(speeds) != workers:
            raise InputError(f"there are {len(speeds)} speeds for {workers} workers; expected one each")
        if speeds is not None and not all(is_number(speed) and 0 < speed <= 1 for speed in speeds):
            raise InputError(f"speeds are {list(speeds)!r}; expected numbers above 0 and at most 1")
        self.replace, self.keep = replace, int(keep)
        self._crew: dict[str, Process] = {}
        self._regions: dict[int, Region] = {}
        self._users: dict[int, int] = {}  # of each region: handles that are not released
        self._reported: list[Event] = []
        self._end = weakref.finalize(self, _end_all, self._crew, self._regions)
        self._started, self._asked_for = 0, workers
        self._in_vain = 0  # that died since the last answer
        for number in range(workers):
            self._start(1.0 if speeds is None else float(speeds[number]))

    def add(self) -> None:
        """Start one more worker. It joins when it is ready, in the midst of whatever the others do."""
        self.check_open()
        self._start(1.0)

    @property
    def processes(self) -> dict[str, int]:
        """Process numbers by worker."""
        return {name: process.popen.pid for name, process in self._crew.items()}

    @property
    def hopeful(self) -> bool:
        """While a process has been started and has not said its name."""
        return bool(self._reported) or any(not process.greeted for process in self._crew.values())

    # -- workers ---------------------------------------------------------------------------------------------------

    def _start(self, speed: float) -> None:
        ours, theirs = socket.socketpair()
        self._started += 1
        name = f"worker {self._started}"
        program = (
            f"import sys; sys.path[:] = {sys.path!r}\n"
            "from longlag.distributed.process_worker import main\n"
            f"main({theirs.fileno()}, {self.keep}, {speed})"
        )
        with theirs:  # a session of its own: an interrupt from the keyboard is for the driver, who then ends it
            popen = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._crew[name] = Process(name, popen, Connection(ours.detach()), time.monotonic(), speed)

    def _lose(self, process: Process) -> Event:
        """It is gone, or has to go."""
        del self._crew[process.name]
        why = process.end()
        if not process.greeted:
            return Failed(f"{process.name} could not be started: {why}")
        self._in_vain += 1
        if self.replace and self._in_vain <= self._asked_for:
            self._start(process.speed)
        return Lost(process.name, why)

    def _submit(self, worker: str, task: Task) -> None:
        process = self._crew[worker]
        new = sorted(self._regions.keys() - process.regions)
        old = process.regions - self._regions.keys()
        try:
            process.connection.send((task, new, sorted(old), process.forgotten))
            for region in new:
                send_handle(process.connection, self._regions[region].descriptor, process.popen.pid)
        except OSError:
            self._reported.append(self._lose(process))
            return
        process.regions = set(self._regions)
        process.forgotten = set()

    def _wait(self, seconds: float) -> list[Event]:
        found, self._reported = self._reported, []
        if not found:
            by_connection: dict[Any, Process] = {process.connection: process for process in self._crew.values()}
            ready = wait(list(by_connection), seconds) if by_connection else []
            found = [self._hear(by_connection[connection]) for connection in ready]
        for process in list(self._crew.values()):
            if not process.greeted and time.monotonic() - process.since > START:
                process.popen.kill()
                found.append(self._lose(process))
        return found

    def _hear(self, process: Process) -> Event:
        try:
            message = process.connection.recv()
            if isinstance(message, Greeting):
                process.greeted = True
                return Joined(process.name, message)
            answer, layout, is_new = message
            if is_new:
                if process.results is not None:
                    process.results.close()
                process.results = View(recv_handle(process.connection))
        except (EOFError, OSError):
            return self._lose(process)
        self._in_vain = 0
        return Answered(process.name, _whole(answer, layout, process.results))

    def _dismiss(self, worker: str) -> None:
        self._crew.pop(worker).end()

    # -- memory ----------------------------------------------------------------------------------------------------

    def share(self, groups: Iterable[Sequence[Tensor]]) -> list[Handle]:
        region, number = Region(), self.numbered()
        self._regions[number] = region
        handles = [Handle(self.numbered(), (number, region.append(tensors))) for tensors in groups]
        self._users[number] = len(handles)
        return handles

    def release(self, handles: Iterable[Handle]) -> None:
        if self.closed:
            return
        for handle in handles:
            if handle.where is not None:
                number = handle.where[0]  # type: ignore[index]
                self._users[number] -= 1
                if not self._users[number]:
                    del self._users[number]
                    self._regions.pop(number).close()
            for process in self._crew.values():
                process.forgotten.add(handle.number)

    def _close(self) -> None:
        self._end()


def _whole(answer: Answer, layout: tuple[Layout | None, Layout | None], results: View | None) -> Answer:
    """The answer with the tensors that it left in its region."""
    if answer.sums is None:
        return answer
    assert results is not None
    vector, matrix = (None if part is None else results.read(part)[0].clone() for part in layout)
    sums = Sums(answer.sums.count, answer.sums.value, vector, matrix)
    return Answer(answer.number, sums, answer.seconds)


def _end_all(crew: dict[str, Process], regions: dict[int, Region]) -> None:
    for process in crew.values():
        process.popen.terminate()  # idle or not: nobody waits for its answer
        with contextlib.suppress(OSError):
            process.popen.send_signal(signal.SIGCONT)  # one that was stopped ends too
    for process in crew.values():
        process.end()
    crew.clear()
    for region in regions.values():
        region.close()
    regions.clear()
