"""Runs rows of the tables, several processes at a time, and keeps every trial that has ended: a run that was cut short
goes on with the trials that are missing."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch

from longlag.errors import LonglagError
from longlag_lab.hochreiter1997.keeping import Keeper
from longlag_lab.hochreiter1997.outcome import Outcome
from longlag_lab.hochreiter1997.work import Bundle, Work, grouped, perform

__all__ = ["Progress", "run"]


@dataclass
class Progress:
    """Of one work: for whoever shows it."""

    work: Work
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    reading: int = 0  # sequences that unfinished trials have read
    done: bool = False

    @property
    def sequences(self) -> int:
        """All that were read."""
        return self.reading + sum(outcome.sequences for outcome in self.outcomes.values())

    @property
    def seconds(self) -> float:
        """That its trials took, in whatever run."""
        return sum(outcome.seconds for outcome in self.outcomes.values())

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
    states = {work: Progress(work, keeper.load(work)) for work in works}
    missing = [work for work in works if len(states[work].outcomes) < work.trials]
    for work in works:
        states[work].done = work not in missing
    bundles = grouped([(work, [n for n in range(work.trials) if n not in states[work].outcomes]) for work in missing])
    with _workers(bundles, jobs) as messages:
        for work, kind, value in messages:
            state = states[work]
            if kind == "outcome":
                state.outcomes[value.trial] = value
                keeper.add(work, value)
            elif kind == "reading":
                state.reading = value
            else:
                state.reading, state.done = 0, True
            show(list(states.values()))
    return [states[work] for work in works]


Message = tuple[Work, str, Any]


@contextmanager
def _workers(bundles: list[Bundle], jobs: int) -> Iterator[Iterator[Message]]:
    works = sum(len(bundle) for bundle in bundles)
    if jobs == 1 or len(bundles) < 2:
        with _thread(bundles, works) as answers:
            yield answers
        return
    context = multiprocessing.get_context("spawn")
    todo, messages = context.Queue(), context.Queue()
    for bundle in bundles:
        todo.put(bundle)
    count = min(jobs, len(bundles))
    processes = [context.Process(target=_process, args=(todo, messages), daemon=True) for _ in range(count)]
    for process in processes:
        todo.put(None)
        process.start()
    try:
        yield _answers(messages, processes, works)
    finally:
        for process in processes:
            process.terminate()
            process.join()


@contextmanager
def _thread(bundles: list[Bundle], works: int) -> Iterator[Iterator[Message]]:
    """In this process: what calls back cannot be iterated over, so a thread performs and this one hands on.

    The thread is stopped where it next tells something: to leave the interpreter while it computes would abort. It has
    one of torch's threads, as worker processes have: more of them add up in another order, to other bits.
    """
    before = torch.get_num_threads()
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    stop = threading.Event()

    def perform_all() -> None:
        torch.set_num_threads(1)
        with suppress(_Stopped):
            for bundle in bundles:
                if not _perform(bundle, messages, stop):
                    return

    thread = threading.Thread(target=perform_all, daemon=True)
    thread.start()
    try:
        yield _answers(messages, [thread], works)
    finally:
        stop.set()
        thread.join()
        torch.set_num_threads(before)


class _Stopped(BaseException):
    """Nobody waits for the answer any more."""


def _process(todo: Any, messages: Any) -> None:
    """Takes bundles until there are none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    torch.set_num_threads(1)
    while (bundle := todo.get()) is not None:
        if not _perform(bundle, messages):
            return


def _perform(bundle: Bundle, messages: Any, stop: threading.Event | None = None) -> bool:
    told: dict[str, float] = {}

    def finished(work: Work, outcome: Outcome) -> None:
        messages.put((work, "outcome", outcome))

    def reading(work: Work, count: int) -> None:
        if stop is not None and stop.is_set():
            raise _Stopped
        if time.perf_counter() - told.get(work.name, 0.0) > 0.5:
            told[work.name] = time.perf_counter()
            messages.put((work, "reading", count))

    try:
        perform(bundle, finished, reading)
    except LonglagError as error:
        messages.put((bundle[0][0], "refused", str(error)))
        return False
    except Exception:  # a defect: whoever waits raises it, with the place where it happened
        messages.put((bundle[0][0], "broken", traceback.format_exc()))
        return False
    for work, _ in bundle:
        messages.put((work, "done", None))
    return True


def _answers(messages: Any, workers: list[Any], works: int) -> Iterator[Message]:
    """What comes in, until every work is done."""
    while works:
        try:
            work, kind, value = messages.get(timeout=1.0)
        except queue.Empty:
            if not any(worker.is_alive() for worker in workers):
                raise LonglagError("the worker processes ended before their work; is memory short?") from None
            continue
        if kind == "refused":
            raise LonglagError(value)
        if kind == "broken":
            raise RuntimeError(value)
        works -= kind == "done"
        yield work, kind, value
