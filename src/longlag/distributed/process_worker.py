"""The life of a worker process: greet, then answer task after task until the driver's end of the line is closed."""

from __future__ import annotations

from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle

from torch import Tensor

from longlag.distributed.question import Answer, Handle
from longlag.distributed.regions import Layout, Region, View
from longlag.distributed.sums import Sums
from longlag.distributed.worker import Worker, greeting

__all__ = ["main"]


class _Views:
    """What the driver has shared: its regions, as far as they have arrived."""

    def __init__(self) -> None:
        self.views: dict[int, View] = {}

    def read(self, handle: Handle) -> list[Tensor]:
        """The tensors, in the shared memory itself."""
        region: int = handle.where[0]  # type: ignore[index]
        layout: Layout = handle.where[1]  # type: ignore[index]
        return self.views[region].read(layout)


def main(descriptor: int, keep: int, speed: float) -> None:
    """Serve the driver at the other end of the socket ``descriptor``."""
    views, results = _Views(), Region()
    worker = Worker(views, keep=keep, speed=speed)
    sent = False  # whether the driver has the region of the results
    with Connection(descriptor) as connection:
        try:
            connection.send(greeting())
            while True:
                task, new, old, forgotten = connection.recv()
                for region in new:
                    views.views[region] = View(recv_handle(connection))
                for region in old:
                    views.views.pop(region).close()
                worker.forget(forgotten)
                connection.send((*_written(worker.answer(task), results), not sent))
                if not sent:
                    send_handle(connection, results.descriptor, 0)
                    sent = True
        except (EOFError, ConnectionError):  # the driver is gone, or wants no more
            return


def _written(answer: Answer, results: Region) -> tuple[Answer, tuple[Layout | None, Layout | None]]:
    """The answer without its tensors, and where those are: a message must fit the socket, whoever listens or not."""
    if answer.sums is None:
        return answer, (None, None)
    results.clear()
    sums = answer.sums
    vector, matrix = (None if part is None else results.append([part]) for part in (sums.vector, sums.matrix))
    return Answer(answer.number, Sums(sums.count, sums.value), answer.seconds), (vector, matrix)
