"""Importing large packages without the garbage collector looking through them again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collector_paused"]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector inside the block, which imports large packages.

    PyTorch, pandas and SciPy make a million objects as they load, none of which is garbage. The collector would look
    through them some 700 times, an eighth of the time that loading takes. Where a caller has paused it, it stays so.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
