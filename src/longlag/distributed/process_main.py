"""The life of a worker process: it says who it is, and answers task after task until the driver is gone."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import NamedTuple

from torch import Tensor

from longlag.distributed.messages import Answer, Handle
from longlag.distributed.shared_memory import Segment, SegmentView, TensorLayout
from longlag.distributed.sums import Sums
from longlag.distributed.worker import Worker, worker_info

__all__ = ["Channels", "main"]

_PR_SET_PDEATHSIG = 1


class Channels(NamedTuple):
    """What a worker process has inherited.

    connection : descriptor of the socket for tasks and answers; lifeline : of the socket for pings, whose end is the
    driver's end; results : of the segment in which the worker leaves tensors; driver : the driver's process number;
    guarded : whether the driver's thread that started the process lives as long as the driver.
    """

    connection: int
    lifeline: int
    results: int
    driver: int
    guarded: bool


class _SharedMemory:
    """The segments that the driver has shared, as far as they have arrived."""

    def __init__(self) -> None:
        self.views: dict[int, SegmentView] = {}

    def read(self, handle: Handle) -> list[Tensor]:
        """Return the tensors, in the shared memory itself."""
        segment: int = handle.location[0]  # type: ignore[index]
        layout: TensorLayout = handle.location[1]  # type: ignore[index]
        return self.views[segment].read(layout)


def main(channels: Channels, keep: int, make_worker: Callable[..., Worker] = Worker) -> None:
    """Serve the driver until it is gone.

    Parameters
    ----------
    channels : Channels
    keep : int
        Bytes of samples that the worker keeps.
    make_worker : callable
        Called as ``Worker`` is.
    """
    _end_with_driver(channels)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a warning may be printed whatever `stty tostop` says
    memory, results = _SharedMemory(), Segment.inherited(channels.results)
    worker = make_worker(memory, keep=keep)
    with Connection(channels.connection) as connection:
        try:
            connection.send(worker_info())
            while True:
                task, new, old, forgotten = connection.recv()
                for segment in new:
                    memory.views[segment] = SegmentView(recv_handle(connection))
                for segment in old:
                    memory.views.pop(segment).close()
                worker.forget(forgotten)
                connection.send(_written(worker.answer(task), results))
        except (EOFError, ConnectionError):  # the driver is gone, or wants no more
            return


def _end_with_driver(channels: Channels) -> None:
    """See to it that this process ends when the driver does, whatever either of them is doing.

    The lifeline is read at all times by a thread of its own: at its end the process leaves, in mid-task too. A process
    that is stopped (SIGSTOP) reads nothing. Until here the kernel ends it, since it was started in a process group of
    its own: a stopped group whose last parent in the session dies gets SIGHUP and SIGCONT. From here on Linux ends it
    with SIGKILL, which it does too where that rule fails, because the process that inherits the driver's children is of
    the same session (the first process of a container may be). By the driver's death Linux understands the end of the
    thread that started this process, so only a process started by the driver's main thread asks for it.
    """
    for descriptor in channels[:3]:
        os.set_inheritable(descriptor, False)  # a process that outlives this one must not hold the line
    lifeline = socket.socket(fileno=channels.lifeline)
    threading.Thread(target=_answer_pings, args=[lifeline], daemon=True).start()
    if sys.platform == "linux" and channels.guarded:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
        if os.getppid() != channels.driver:  # it died before Linux was asked
            os._exit(1)
        # Linux shares the processors out among sessions: in one of its own a worker has as much as anybody's process.
        os.setpgid(0, os.getpgid(channels.driver))  # the leader of a group cannot begin a session
        os.setsid()


def _answer_pings(lifeline: socket.socket) -> None:
    try:
        while lifeline.recv(1):
            lifeline.send(b"!")
    except OSError:
        pass
    os._exit(1)


def _written(answer: Answer, results: Segment) -> tuple[Answer, tuple[TensorLayout | None, TensorLayout | None]]:
    """Return the answer without its tensors, and where those are: so a message is small, and sent in one piece."""
    if answer.sums is None:
        return answer, (None, None)
    results.clear()
    sums = answer.sums
    vector, matrix = (None if tensor is None else results.append([tensor]) for tensor in (sums.vector, sums.matrix))
    return Answer(answer.number, Sums(sums.count, sums.value), answer.seconds), (vector, matrix)
