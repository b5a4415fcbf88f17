"""Threads that draw batches and compute their gradients; what comes out does not depend on their number."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

from longlag.pretrained.network import ZeroShotNetwork
from longlag_lab.harness.timer import torch_threads
from longlag_lab.pretraining.batches import Batch, training_batch
from longlag_lab.pretraining.gradients import Gradient, batch_gradient, sum_of
from longlag_lab.pretraining.settings import PretrainingSettings

__all__ = ["gradients", "one_thread_each"]

AHEAD = 2
"""Updates whose batches are drawn before they are needed."""


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let every matrix product run in the thread that asks for it: shared ones add up in another order."""
    with torch_threads(1), threadpool_limits(1, user_api="blas"):
        yield


@contextmanager
def gradients(
    settings: PretrainingSettings, network: ZeroShotNetwork, first: int, threads: int
) -> Iterator[Iterator[Gradient]]:
    """Iterate over the gradients of the updates from ``first`` on, each of the network as it is when it is asked for.

    Drawing and differentiating share the threads: while the gradients of one update are waited for, batches of the
    next ones are drawn. The sum is in the order of the groups.
    """
    pool = ThreadPoolExecutor(threads, "pretraining", initializer=torch.set_num_threads, initargs=(1,))

    def draw(update: int) -> list[Future[Batch]]:
        return [pool.submit(training_batch, settings, update, group) for group in range(settings.groups)]

    def one_by_one() -> Iterator[Gradient]:
        drawn = deque(draw(update) for update in range(first, min(first + AHEAD, settings.updates)))
        for update in range(first, settings.updates):
            batches = [batch.result() for batch in drawn.popleft()]
            share = 1.0 / settings.groups
            parts = [pool.submit(batch_gradient, network, batch, share) for batch in batches]
            if update + AHEAD < settings.updates:
                drawn.append(draw(update + AHEAD))
            yield sum_of([part.result() for part in parts])

    try:
        yield one_by_one()
    finally:
        pool.shutdown(cancel_futures=True)
