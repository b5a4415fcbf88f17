"""From its start to its end a worker process may be killed or stopped at any moment, and its driver too."""

import math
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from distributed.examples import Rounding, Waits, numbers
from distributed.hardship import learned, same, stop, waiting_workers_released
from longlag.distributed import MapReduceObjective, ProcessExecutor, SerialExecutor, master, process_handle
from longlag.errors import ClusterError, InputError

pytestmark = pytest.mark.processes

SAMPLES, THETA = numbers(10), torch.ones(3)


@pytest.fixture(scope="module")
def shared():
    with ProcessExecutor(2) as executor:
        yield executor


@pytest.fixture
def two(shared):
    """Two workers that have joined and do not rest from an earlier test."""
    shared.replace = True
    shared.gather(2)
    MapReduceObjective(Rounding(), shared).value(THETA, SAMPLES)  # an answer: deaths are counted anew
    yield shared
    shared.replace = False
    for process in list(shared.processes.values())[2:]:
        os.kill(process, signal.SIGKILL)
    while len(shared.processes) > 2:
        shared.events(1.0)


def serial_value(chunk):
    with SerialExecutor() as serial:
        return MapReduceObjective(Rounding(), serial, chunk=chunk).value(THETA, SAMPLES)


# -- starting ----------------------------------------------------------------------------------------------------------


def test_processes_killed_or_stopped_while_they_start_are_replaced(two):
    before = set(two.processes)
    two.add()
    two.add()
    killed, stopped = (name for name in two.processes if name not in before)
    os.kill(two.processes[killed], signal.SIGKILL)
    stop([two.processes[stopped]])
    two._processes[stopped].started = -math.inf  # its time is over
    two.gather(4)
    assert {killed, stopped}.isdisjoint(two.processes)
    assert before <= two.processes.keys()
    assert len(two.processes) == 4
    assert MapReduceObjective(Rounding(), two, chunk=1).value(THETA, SAMPLES) == serial_value(1)


def test_processes_that_cannot_start_are_not_started_for_ever(monkeypatch):
    monkeypatch.setattr(ProcessExecutor, "_entry", lambda self, number: ("no_such_module", ()))
    with ProcessExecutor(2) as executor:
        with pytest.raises(ClusterError, match=r"no worker is left \(worker \d could not be started: .* exit code 1"):
            MapReduceObjective(Rounding(), executor).value(THETA, SAMPLES)
        assert executor._started == 4  # two, and one more for each


def test_what_the_system_refuses_is_one_sentence_and_what_was_started_ends(monkeypatch):
    started, popen = [], subprocess.Popen

    def reluctant(*arguments, **options):
        if started:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        started.append(popen(*arguments, **options))
        return started[0]

    monkeypatch.setattr(process_handle.subprocess, "Popen", reluctant)
    with pytest.raises(
        ClusterError, match=r"^worker 2 could not be started \(Resource temporarily unavailable\)$"
    ) as _error:
        ProcessExecutor(2)
    assert started[0].returncode == -signal.SIGKILL  # now, and not when the error is forgotten


def test_a_process_that_dies_is_replaced(two):
    with SerialExecutor() as serial:
        expected = learned(serial)
    assert same(learned(two), expected)
    first, second = before = dict(two.processes)
    os.kill(before[first], signal.SIGKILL)
    assert same(learned(two), expected)
    assert len(two.processes) == 2
    assert second in two.processes
    assert first not in two.processes


# -- stopped -----------------------------------------------------------------------------------------------------------


def test_with_all_processes_stopped_there_is_one_clear_error_and_when_they_go_on_so_does_everything(two, monkeypatch):
    processes = list(two.processes.values())
    with monkeypatch.context() as patch:
        patch.setattr(master, "PONG_SECONDS", 0.2)  # those that are stopped need no time
        stop(processes)
        with pytest.raises(ClusterError, match=r"no worker gives a sign of life \(worker .*process \d+ on .*stopped"):
            MapReduceObjective(Rounding(), two, chunk=1, lease=0.1).value(THETA, SAMPLES)
    for process in processes:
        os.kill(process, signal.SIGCONT)
    assert MapReduceObjective(Rounding(), two, chunk=1).value(THETA, SAMPLES) == serial_value(1)
    assert list(two.processes.values()) == processes


def test_processes_that_compute_give_a_sign_of_life_and_are_waited_for(two, tmp_path):
    with waiting_workers_released(tmp_path):
        objective = MapReduceObjective(Waits(tmp_path), two, lease=0.05)
        assert objective.value(THETA, SAMPLES) == serial_value(10)
    assert (tmp_path / "go").exists()


class Bulky:
    """Samples whose sources fill more than a socket takes at once."""

    steps = 10

    def __len__(self):
        return 10

    def chunks(self, size):
        return [BulkySource(b"x" * (1 << 22))]


class BulkySource:
    def __init__(self, content):
        self.content = content

    def read(self, memory):
        return SAMPLES


def test_a_process_that_is_stopped_in_the_midst_of_a_message_does_not_hold_up_the_driver(two):
    first, second = two.workers  # tasks are given in this order
    stop([two.processes[first]])
    with socket.socket(fileno=os.dup(two._processes[first].connection.fileno())) as line:
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            assert line.getsockopt(socket.SOL_SOCKET, option, 16) == struct.pack("ll", 10, 0)
            line.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", 0, 1000))  # one that is stopped needs no time
    samples = Bulky()
    assert MapReduceObjective(Rounding(), two).value(THETA, samples) == serial_value(10)
    assert first not in two.processes
    assert second in two.workers


# -- dead --------------------------------------------------------------------------------------------------------------


class Forks(Rounding):
    """Starts a process that holds all that its own has open, and kills its own. Only once."""

    def __init__(self, path):
        self.path = Path(path)

    def value(self, theta, samples):
        if not self.path.exists():
            child = os.fork()
            if not child:
                signal.pause()
            self.path.write_text(str(child))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().value(theta, samples)


def test_a_death_is_noticed_although_another_process_holds_the_line(two, tmp_path):
    before = set(two.processes)
    try:
        objective = MapReduceObjective(Forks(tmp_path / "child"), two, lease=1000.0)
        assert objective.value(THETA, SAMPLES) == serial_value(10)
        while before <= two.processes.keys():  # another may have repeated what the dead one had
            two.events(1.0)
    finally:
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def test_with_every_process_killed_there_is_one_clear_error(two):
    two.replace = False
    objective = MapReduceObjective(Rounding(), two, chunk=1)
    for process in two.processes.values():
        os.kill(process, signal.SIGKILL)
    with pytest.raises(ClusterError, match=r"no worker is left .*process \d+ on .*ended by SIGKILL"):
        objective.value(THETA, SAMPLES)
    two.add()
    two.add()
    assert objective.value(THETA, SAMPLES) == serial_value(1)


# -- the end -----------------------------------------------------------------------------------------------------------


def test_no_process_outlives_its_executor():
    executor = ProcessExecutor(1)
    executor.gather(1)
    executor.add()
    processes = list(executor.processes.values())
    stop(processes)  # one that has joined, and one that starts
    executor.close()
    executor.close()  # once more does no harm
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
    with pytest.raises(InputError, match="is closed"):
        MapReduceObjective(Rounding(), executor).value(THETA, SAMPLES)


def as_from_a_shell(program):
    """The driver's session is its own: the kernel itself ends stopped workers, from whatever thread."""
    threaded = f"import threading as t; one = t.Thread(target=lambda: exec({program!r}, {{}})); one.start(); one.join()"
    return [sys.executable, "-c", threaded]


def as_in_a_container(program):
    """What inherits the driver's children is of the same session: Linux is asked to end workers that have joined."""
    inheriting = f"""
        import ctypes, subprocess, sys
        ctypes.CDLL(None).prctl(36, ctypes.c_ulong(1))  # PR_SET_CHILD_SUBREAPER
        subprocess.Popen([sys.executable, "-c", {program!r}])
        sys.stdin.read(1)
    """
    return [sys.executable, "-c", textwrap.dedent(inheriting)]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="other processes' children are watched by Linux's pidfd")
@pytest.mark.parametrize(
    ("started", "added"),
    [
        pytest.param(as_from_a_shell, 1, id="from a shell"),
        pytest.param(as_in_a_container, 0, id="in a container"),
    ],
)
def test_no_process_outlives_its_driver_whatever_it_does(tmp_path, started, added):
    """The driver is killed while one worker computes, one is stopped, and one is stopped while it starts."""
    program = f"""
import os
import torch
from distributed.examples import Waits, numbers
from distributed.hardship import learned, same, stop, waiting_workers_released
from longlag.distributed import MapReduceObjective, ProcessExecutor
executor = ProcessExecutor(2)
executor.gather(2)
for _ in range({added}):
    executor.add()
computing, idle = executor.workers  # tasks are given in this order
stopped = [number for worker, number in executor.processes.items() if worker != computing]
stop(stopped)
print(os.getpid(), executor.processes[computing], *stopped, flush=True)
MapReduceObjective(Waits({str(tmp_path)!r}), executor).value(torch.ones(3), numbers(10))
"""
    with subprocess.Popen(
        started(program),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    ) as first:
        driver, *processes = (int(number) for number in first.stdout.readline().split())
        watches = [os.pidfd_open(process) for process in processes]
        while not (tmp_path / "began").exists():
            time.sleep(0.01)
        assert int((tmp_path / "began").read_text()) == processes[0]
        os.kill(driver, signal.SIGKILL)
        outliving = []
        for process, watch in zip(processes, watches, strict=True):
            if not select.select([watch], [], [], 60.0)[0]:
                outliving.append(process)
                signal.pidfd_send_signal(watch, signal.SIGKILL)
            os.close(watch)
        first.kill()
    assert len(processes) == 2 + added
    assert not outliving
