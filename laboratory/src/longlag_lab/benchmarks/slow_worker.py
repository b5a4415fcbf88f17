"""A worker process as slow as a processor of a part of this one's speed: what ``ThrottledWorkers`` starts."""

from __future__ import annotations

import functools
import time
from dataclasses import replace

from longlag.distributed import process_main
from longlag.distributed.messages import Answer, ChunkTask, Memory
from longlag.distributed.worker import Worker

__all__ = ["SlowWorker", "main"]


class SlowWorker(Worker):
    """A worker that answers as late as a processor of ``speed`` times this one's would."""

    def __init__(self, memory: Memory, *, keep: int, speed: float) -> None:
        super().__init__(memory, keep=keep)
        self.speed = speed

    def answer(self, task: ChunkTask) -> Answer:
        """Return the answer after so much sleep that the processor's seconds are ``speed`` of those that passed."""
        began, busy = time.perf_counter(), time.thread_time()
        answer = super().answer(task)
        if answer.sums is None:
            return answer
        time.sleep(max(0.0, (time.thread_time() - busy) / self.speed - (time.perf_counter() - began)))
        return replace(answer, seconds=time.perf_counter() - began)


def main(channels: process_main.Channels, keep: int, speed: float) -> None:
    """Serve the driver at ``speed`` of a core."""
    process_main.main(channels, keep, functools.partial(SlowWorker, speed=speed))
