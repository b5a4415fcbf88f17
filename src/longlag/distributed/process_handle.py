"""The driver's end of one worker process: how it is started, spoken with, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from typing import Any

from longlag.distributed.executor import WorkerCache
from longlag.distributed.messages import Answer, ChunkTask, WorkerInfo
from longlag.distributed.process_main import Channels
from longlag.distributed.shared_memory import Segment, SegmentView, TensorLayout
from longlag.distributed.sums import Sums
from longlag.errors import ClusterError

__all__ = ["WorkerProcess"]

STUCK_SECONDS = 10  # that a process may stop in the midst of a message
END_SECONDS = 5.0  # that a process has to end


@dataclass(eq=False)
class WorkerProcess:
    """One worker process, as the driver sees it.

    started : when, on the monotonic clock; segments : the numbers of those that the process can read; joined : whether
    it has said who it is.
    """

    name: str
    popen: subprocess.Popen[bytes]
    connection: Connection
    lifeline: socket.socket
    results: SegmentView
    started: float
    segments: set[int] = field(default_factory=set)
    cache: WorkerCache = field(default_factory=WorkerCache)
    joined: bool = False

    @classmethod
    def start(cls, name: str, keep: int, entry: str, arguments: tuple[object, ...]) -> WorkerProcess:
        """Start a process that runs ``entry.main(channels, keep, *arguments)``.

        Raises
        ------
        ClusterError
            If the system refuses a process, or a file descriptor for it.
        """
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            try:
                connection, far_connection = _socket_pair(ours, theirs)
                lifeline, far_lifeline = _socket_pair(ours, theirs)
                results = Segment()
                ours.callback(results.close)
                channels = Channels(
                    far_connection.fileno(),
                    far_lifeline.fileno(),
                    results.descriptor,
                    os.getpid(),
                    threading.current_thread() is threading.main_thread(),
                )
                program = (
                    f"import sys; sys.path[:] = {sys.path!r}\n"
                    f"from {entry} import main\n"
                    "from longlag.distributed.process_main import Channels\n"
                    f"main({channels!r}, {keep}, *{arguments!r})"
                )
                popen = subprocess.Popen(
                    [sys.executable, "-c", program],
                    stdin=subprocess.DEVNULL,
                    pass_fds=channels[:3],
                    # A group of its own. An interrupt from the keyboard is then for the driver, which ends the worker;
                    # and the kernel ends a stopped worker without a driver (see process_main._end_with_driver).
                    process_group=0,
                )
            except OSError as error:
                raise ClusterError(f"{name} could not be started ({error.strerror or error})") from error
            ours.pop_all()
        # A process may be stopped in the midst of a message. The driver waits for the rest of it, but not for ever.
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", STUCK_SECONDS, 0))
        view = SegmentView(results.descriptor)
        return cls(name, popen, Connection(connection.detach()), lifeline, view, time.monotonic())

    # -- speaking with it ------------------------------------------------------------------------------------------

    def send(self, task: ChunkTask, segments: Mapping[int, Segment]) -> None:
        """Send a task, and with it the segments that the process cannot read yet. OSError: it is dead, or stuck."""
        new = sorted(segments.keys() - self.segments)
        old = sorted(self.segments - segments.keys())
        self.connection.send((task, new, old, self.cache.sent(task)))
        for number in new:
            send_handle(self.connection, segments[number].descriptor, self.popen.pid)
        self.segments = set(segments)

    def receive(self) -> WorkerInfo | Answer:
        """Return its next message. EOFError or OSError: it is dead, or stuck."""
        message: Any = self.connection.recv()
        if isinstance(message, WorkerInfo):
            self.joined = True
            return message
        return self._with_tensors(*message)

    def _with_tensors(self, answer: Answer, layout: tuple[TensorLayout | None, TensorLayout | None]) -> Answer:
        """Return the answer with the tensors that the process has left in its segment."""
        if answer.sums is None:
            return answer
        vector, matrix = (None if part is None else self.results.read(part)[0].clone() for part in layout)
        return Answer(answer.number, Sums(answer.sums.count, answer.sums.value, vector, matrix), answer.seconds)

    def ping(self) -> None:
        """Ask for a sign of life."""
        with contextlib.suppress(OSError):
            self.lifeline.send(b"?", socket.MSG_DONTWAIT)

    def pong(self) -> bool:
        """Return whether a sign of life has come. (The lifeline can be read at its end too.)"""
        try:
            return bool(self.lifeline.recv(1024, socket.MSG_DONTWAIT))
        except OSError:
            return False

    # -- its end ---------------------------------------------------------------------------------------------------

    def end(self, *, kill: bool) -> str:
        """Wait until the process has ended; return how it did. One that does not end by itself is killed."""
        self.connection.close()
        self.lifeline.close()
        self.results.close()
        if kill:
            self.popen.kill()  # a stopped process too
        for _ in range(2):
            try:
                return _described(self.popen.wait(END_SECONDS))
            except subprocess.TimeoutExpired:
                self.popen.kill()
        return "it was killed and does not end"


def _socket_pair(ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair()
    ours.callback(near.close)
    theirs.callback(far.close)
    return near, far


def _described(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it was ended by signal {-code}"
