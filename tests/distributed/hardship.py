"""What every executor has to bear, and what it has to learn nevertheless."""

import contextlib
import logging
import os
import random
import signal
import threading
import time

import torch

from distributed.examples import Rounding, Slow, network_objective, numbers, ragged
from longlag.distributed import MapReduceObjective, SerialExecutor
from longlag.optim import BoundObjective, LBFGSMethod, minimise


def learned(executor):
    """Value, gradient, and where 20 iterations of L-BFGS end."""
    objective, samples = network_objective(), ragged(90)
    shared_out = MapReduceObjective(objective, executor, chunk=7)
    value, gradient = shared_out.value_and_gradient(objective.theta, samples)
    result = minimise(LBFGSMethod(), BoundObjective(shared_out, samples), objective.theta, max_iterations=20)
    return value, gradient, result.theta


def same(found, expected):
    """Bit for bit."""
    return found[0] == expected[0] and torch.equal(found[1], expected[1]) and torch.equal(found[2], expected[2])


def stop(processes):
    """Stop children of this process, and wait until they are stopped."""
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    for process in processes:
        os.waitid(os.P_PID, process, os.WSTOPPED | os.WNOWAIT)


@contextlib.contextmanager
def waiting_workers_released(folder):
    """Let workers at ``Waits(folder)`` go on when the driver has logged that they are alive."""

    class Starter(logging.Handler):
        def emit(self, record):
            assert "workers are alive: waiting" in record.getMessage()
            (folder / "go").touch()

    starter, logger = Starter(), logging.getLogger("longlag")
    logger.addHandler(starter)
    try:
        yield
    finally:
        logger.removeHandler(starter)


def assert_bits_endure(executor, seed, *, blows, lease, between=None):
    """Questions while processes are killed, or stopped for longer than a lease: none ends before the last blow.

    ``between`` : called after the blows, while questions go on.
    """
    chance = random.Random(seed)
    samples, theta = numbers(40, seed=1), torch.linspace(0.5, 1.5, 3)
    with SerialExecutor() as serial:
        value, gradient = MapReduceObjective(Rounding(), serial, chunk=1).value_and_gradient(theta, samples)
    # Chosen beforehand: the thread must not look where the driver writes.
    processes = [executor.worker_infos[worker].process for worker in executor.workers]
    stopped = []

    def strike():
        for _ in range(blows):
            time.sleep(chance.uniform(0.0, 0.04))
            victim, what = chance.choice(processes), chance.choice([signal.SIGKILL, signal.SIGSTOP])
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, what)
            if what == signal.SIGSTOP:
                stopped.append(victim)
        if between is not None:
            between()

    thread = threading.Thread(target=strike)
    shared_out, asked = MapReduceObjective(Slow(), executor, chunk=1, lease=lease), 0
    thread.start()
    try:
        while thread.is_alive() or not asked:
            found, asked = shared_out.value_and_gradient(theta, samples), asked + 1
            assert found[0] == value
            assert torch.equal(found[1], gradient)
    finally:
        thread.join()
        for victim in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGCONT)
