"""A pool of worker processes, or a thread instead, for work that takes minutes. No worker outlives its caller."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Literal, TypeVar

import torch

from longlag.errors import LonglagError

__all__ = ["Perform", "Sender", "pool"]

Unit = TypeVar("Unit")


class Sender:
    """What a unit of work tells its caller while it is being performed."""

    def __init__(self, send: Callable[[Any], None], check: Callable[[], None] = lambda: None) -> None:
        self._send = send
        self.check = check
        """Ends the work, by an exception, if the caller has left."""

    def send(self, message: Any) -> None:
        """Send a message, which has to be picklable."""
        self.check()
        self._send(message)


Perform = Callable[[Unit, Sender], None]
"""Performs one unit of work. A function of a module, so that a worker process finds it by its name."""


@contextmanager
def pool(perform: Perform[Unit], units: Sequence[Unit], processes: int) -> Iterator[Iterator[Any]]:
    """Perform all units, and iterate over the messages that they send until every unit is done.

    The first units are begun first. Each unit runs on one of torch's threads, wherever it runs: more threads would add
    up in another order, to other bits. A single process, or a single unit, is a thread of this process.

    Leaving the context ends work that is still going on. Workers also end when this process is killed.

    Raises
    ------
    LonglagError
        What ``perform`` raised, or that a worker process has died.
    RuntimeError
        ``perform`` raised anything else, which is a defect; the message holds its traceback.
    """
    if processes == 1 or len(units) < 2:
        with _thread(perform, units) as messages:
            yield messages
    else:
        with _workers(perform, units, min(processes, len(units))) as messages:
            yield messages


Kind = Literal["message", "done", "error", "defect"]


def _attempt(perform: Perform[Unit], unit: Unit, sender: Sender) -> tuple[Kind, Any]:
    """Perform a unit, and return how it ended."""
    try:
        perform(unit, sender)
    except LonglagError as error:
        return "error", error
    except Exception:  # the caller raises it, with the place where it happened
        return "defect", traceback.format_exc()
    return "done", None


def _raise_failure(kind: Kind, value: Any) -> None:
    if kind == "error":
        raise value
    if kind == "defect":
        raise RuntimeError(value)


# ---- worker processes ------------------------------------------------------------------------------------------------


@contextmanager
def _workers(perform: Perform[Unit], units: Sequence[Unit], count: int) -> Iterator[Iterator[Any]]:
    """Each worker has a pipe of its own: one that dies leaves no lock behind that others wait for."""
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, SpawnProcess] = {}
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(perform, theirs), daemon=True)
            process.start()
            theirs.close()  # so that the pipe ends with the worker
            workers[ours] = process
        yield _messages(list(workers), deque(units))
    finally:
        for connection, process in workers.items():
            process.terminate()
            process.join()
            connection.close()


def _messages(connections: Sequence[Connection], units: deque[Unit]) -> Iterator[Any]:
    """Hand out the units, and yield the workers' messages until all units are done."""
    busy: set[Connection] = set()
    try:
        for connection in connections:
            connection.send(units.popleft())
            busy.add(connection)
        while busy:
            ready: list[Connection] = wait(busy)  # type: ignore[assignment]
            for connection in ready:
                kind, value = connection.recv()
                _raise_failure(kind, value)
                if kind == "message":
                    yield value
                elif units:
                    connection.send(units.popleft())
                else:
                    busy.remove(connection)
    except (EOFError, ConnectionError):
        raise LonglagError("a worker process ended before its work; is memory short?") from None


def _serve(perform: Perform[Unit], connection: Connection) -> None:
    """Live as a worker process: perform unit after unit, until the pipe or the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    sender = Sender(lambda message: connection.send(("message", message)))
    with suppress(EOFError, ConnectionError):  # the parent has ended
        while True:
            unit = connection.recv()
            connection.send(_attempt(perform, unit, sender))


def _end_with_parent() -> None:
    """End this process with its parent, which tells its workers nothing when it is killed; units take minutes."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


# ---- one thread ------------------------------------------------------------------------------------------------------


class _NotWanted(BaseException):
    """The caller has left: nobody waits for the rest of the work."""


@contextmanager
def _thread(perform: Perform[Unit], units: Sequence[Unit]) -> Iterator[Iterator[Any]]:
    """Let a thread perform, because work that calls back cannot be iterated over.

    It ends where it next sends something: to leave the interpreter while it computes would abort.
    """
    threads = torch.get_num_threads()
    messages: queue.SimpleQueue[tuple[Kind, Any]] = queue.SimpleQueue()
    left = threading.Event()

    def check() -> None:
        if left.is_set():
            raise _NotWanted

    def perform_all() -> None:
        torch.set_num_threads(1)
        sender = Sender(lambda message: messages.put(("message", message)), check)
        with suppress(_NotWanted):
            for unit in units:
                kind, value = _attempt(perform, unit, sender)
                messages.put((kind, value))
                if kind != "done":
                    return
                check()

    def received() -> Iterator[Any]:
        done = 0
        while done < len(units):
            kind, value = messages.get()
            _raise_failure(kind, value)
            if kind == "message":
                yield value
            else:
                done += 1

    thread = threading.Thread(target=perform_all, daemon=True)
    thread.start()
    try:
        yield received()
    finally:
        left.set()
        thread.join()
        torch.set_num_threads(threads)
