"""How long a pretraining has taken, over all the processes that it was resumed in."""

from __future__ import annotations

import time

__all__ = ["Clock"]


class Clock:
    """Seconds of time and of processors since it was made, and those of before."""

    def __init__(self, wall: float = 0.0, cpu: float = 0.0) -> None:
        self._before = wall, cpu
        self._began = time.perf_counter(), time.process_time()

    def document(self) -> dict[str, float]:
        """Return the seconds of all processes as JSON."""
        wall, cpu = self._before
        return {"wall": wall + time.perf_counter() - self._began[0], "cpu": cpu + time.process_time() - self._began[1]}

    def hours(self) -> dict[str, float]:
        """Return the hours of all processes as JSON."""
        return {name: round(seconds / 3600.0, 4) for name, seconds in self.document().items()}
