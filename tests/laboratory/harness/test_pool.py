"""The pool: units are performed wherever they are, and no worker outlives whoever waits for it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
import torch

from longlag.errors import InputError, LonglagError
from longlag_lab.harness.pool import Sender, pool


def square(unit: int, sender: Sender) -> None:
    sender.send((unit, unit * unit, torch.get_num_threads()))


def refuse(unit: int, sender: Sender) -> None:
    raise InputError(f"unit {unit} is refused")


def break_down(unit: int, sender: Sender) -> None:
    [][unit]


def compute_for_ever(unit: int, sender: Sender) -> None:
    sender.send(os.getpid())
    while True:
        sum(range(1000))


def die(unit: int, sender: Sender) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_every_unit_sends_its_messages_from_one_of_torchs_threads():
    torch.set_num_threads(2)
    with pool(square, range(5), 1) as messages:
        assert list(messages) == [(unit, unit * unit, 1) for unit in range(5)]
    assert torch.get_num_threads() == 2
    with pool(square, [], 4) as messages:
        assert list(messages) == []


def test_a_refusal_is_raised_as_it_is_and_a_defect_with_its_traceback():
    with pytest.raises(InputError, match="unit 7 is refused"), pool(refuse, [7, 8], 1) as messages:
        list(messages)
    with pytest.raises(RuntimeError, match=r"in break_down[\s\S]*IndexError"), pool(break_down, [7], 1) as messages:
        list(messages)


def test_a_thread_whose_caller_has_left_ends_where_it_next_sends():
    ended = threading.Event()

    def send_for_ever(unit, sender):
        try:
            while True:
                sender.send(unit)
        finally:
            ended.set()

    before = threading.active_count()
    with pool(send_for_ever, [0], 1) as messages:
        assert next(messages) == 0
    assert ended.is_set()
    assert threading.active_count() == before


@pytest.mark.processes
def test_a_worker_process_that_dies_ends_the_work_with_a_sentence():
    with pytest.raises(LonglagError, match="a worker process ended before its work"), pool(die, [0, 1], 2) as messages:
        list(messages)


@pytest.mark.processes
def test_workers_end_with_a_parent_that_is_killed_while_they_compute():
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
        parent.wait()
        # Workers have the parent's standard output: it ends when the last of them has ended. A minute is no
        # measure of speed, but what a failure takes.
        ended, _, _ = select.select([parent.stdout], [], [], 60.0)
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        assert ended
        assert parent.stdout.read() == ""


if __name__ == "__main__":
    with pool(compute_for_ever, range(2), 2) as pids:
        for pid in pids:
            sys.stdout.write(f"{pid}\n")
            sys.stdout.flush()
