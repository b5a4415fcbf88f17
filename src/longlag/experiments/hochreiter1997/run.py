"""Runs rows of the tables, several processes at a time, and keeps every trial that has ended: a run that was cut short
goes on with the trials that are missing."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from longlag.errors import LonglagError
from longlag.experiments.hochreiter1997.keeping import Keeper
from longlag.experiments.hochreiter1997.work import Outcome, Work, perform

__all__ = ["Progress", "run"]


@dataclass
class Progress:
    """Of one work: for whoever shows it."""

    work: Work
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    reading: int = 0  # sequences that unfinished trials have read
    seconds: float = 0.0
    done: bool = False

    @property
    def sequences(self) -> int:
        """All that were read."""
        return self.reading + sum(outcome.sequences for outcome in self.outcomes.values())

    @property
    def solved(self) -> int:
        """Trials that have met their rule."""
        return sum(outcome.solved is not None for outcome in self.outcomes.values())


def run(
    works: Sequence[Work],
    keeper: Keeper,
    *,
    jobs: int = 1,
    show: Callable[[list[Progress]], None] = lambda _: None,
) -> list[Progress]:
    """Performs all works, the longest first. Trials that ``keeper`` has are not run again."""
    states = {work: Progress(work, *keeper.load(work)) for work in works}
    missing = [work for work in works if len(states[work].outcomes) < work.trials]
    for work in works:
        states[work].done = work not in missing
    order = sorted(missing, key=Work.cost, reverse=True)
    with _workers(order, states, jobs) as messages:
        for work, kind, value in messages:
            state = states[work]
            if kind == "outcome":
                state.outcomes[value.trial] = value
                keeper.add(work, value)
            elif kind == "reading":
                state.reading = value
            else:
                state.seconds += value
                state.reading, state.done = 0, True
                keeper.close(work, state.seconds)
            show(list(states.values()))
    return [states[work] for work in works]


Message = tuple[Work, str, Any]


@contextmanager
def _workers(order: list[Work], states: dict[Work, Progress], jobs: int) -> Iterator[Iterator[Message]]:
    tasks = [(work, [n for n in range(work.trials) if n not in states[work].outcomes]) for work in order]
    if jobs == 1 or len(tasks) < 2:
        yield _here(tasks)
        return
    context = multiprocessing.get_context("spawn")
    todo, messages = context.Queue(), context.Queue()
    for task in tasks:
        todo.put(task)
    processes = [
        context.Process(target=_work, args=(todo, messages), daemon=True) for _ in range(min(jobs, len(tasks)))
    ]
    for process in processes:
        todo.put(None)
        process.start()
    try:
        yield _answers(messages, processes, len(tasks))
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _here(tasks: list[tuple[Work, list[int]]]) -> Iterator[Message]:
    """In this process: one that generates cannot be called back, so a thread performs and this one hands on."""
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    thread = threading.Thread(target=_perform_all, args=(tasks, messages), daemon=True)
    thread.start()
    yield from _answers(messages, [thread], len(tasks))


def _perform_all(tasks: list[tuple[Work, list[int]]], messages: Any) -> None:
    for task in tasks:
        if not _perform(task[0], task[1], messages):
            return


def _work(todo: Any, messages: Any) -> None:
    """A process: takes works until there are none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    torch.set_num_threads(1)
    while (task := todo.get()) is not None:
        work, numbers = task
        if not _perform(work, numbers, messages):
            return


def _perform(work: Work, numbers: list[int], messages: Any) -> bool:
    began = last = time.perf_counter()

    def reading(count: int) -> None:
        nonlocal last
        if time.perf_counter() - last > 0.5:
            last = time.perf_counter()
            messages.put((work, "reading", count))

    try:
        perform(work, numbers, lambda outcome: messages.put((work, "outcome", outcome)), reading)
    except Exception as error:  # told to whoever waits, who raises it
        messages.put((work, "error", f"{work.name}: {type(error).__name__}: {error}"))
        return False
    messages.put((work, "seconds", time.perf_counter() - began))
    return True


def _answers(messages: Any, processes: list[Any], count: int) -> Iterator[Message]:
    left = count
    while left:
        try:
            work, kind, value = messages.get(timeout=1.0)
        except queue.Empty:
            if not any(process.is_alive() for process in processes):
                raise LonglagError(
                    "the worker processes ended before their work was done; memory may be short"
                ) from None
            continue
        if kind == "error":
            raise LonglagError(value)
        left -= kind == "seconds"
        yield work, kind, value
