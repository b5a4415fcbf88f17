"""The memory that compiled code takes without asking PyTorch: dirtied, so that a number nobody wrote shows."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Heap:
    """The C library's; skips the test where that cannot do it."""

    def __init__(self) -> None:
        self.c = ctypes.CDLL(None)
        if not hasattr(self.c, "mallopt"):
            pytest.skip("this C library cannot fill the memory it hands out")
        self.c.malloc.restype, self.c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self.c.free.argtypes = [ctypes.c_void_p]

    @contextmanager
    def fresh_memory_is(self, byte: int) -> Iterator[None]:
        fill = -6  # M_PERTURB: what is handed out is filled with the other bits of this byte; 0: no longer
        self.c.mallopt(fill, byte ^ 0xFF)
        try:
            yield
        finally:
            self.c.mallopt(fill, 0)

    @contextmanager
    def free_memory_is_nan(self) -> Iterator[None]:
        """What is handed out next, of any size, held NaN before."""
        self.c.free(self.c.malloc(1 << 24))  # from now on blocks of this size come from the heap, and stay there
        blocks, walls = [], []
        for size in (int(256 * 1.1**power) for power in range(105) for _ in range(2)):
            blocks.append(self.c.malloc(size))
            walls.append(self.c.malloc(2048))  # keeps a block from joining its neighbours
            ctypes.memset(blocks[-1], 0xFF, size)
        for block in blocks:
            self.c.free(block)
        try:
            yield
        finally:
            for wall in walls:
                self.c.free(wall)
