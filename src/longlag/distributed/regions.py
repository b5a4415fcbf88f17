"""Memory that processes of this machine share: anonymous, so that nothing is left behind however they end."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Layout", "Region", "View"]

ALIGNED = 64  # bytes

Layout = tuple[tuple[int, torch.dtype, tuple[int, ...]], ...]
"""Of tensors in a region: offset in bytes, type, shape."""


class Region:
    """Bytes behind a file descriptor that has no name.

    Not a segment in /dev/shm: containers often allow 64 MB there, and a process that writes beyond dies of it.
    """

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self.descriptor = os.memfd_create("longlag")
        else:
            with tempfile.TemporaryFile() as file:
                self.descriptor = os.dup(file.fileno())
        self.size = 0

    def append(self, tensors: Iterable[Tensor]) -> Layout:
        """Write them behind what is there."""
        found = []
        for tensor in tensors:
            start = -(-self.size // ALIGNED) * ALIGNED
            self.size = start + tensor.numel() * tensor.element_size()
            os.ftruncate(self.descriptor, max(self.size, 1))
            content = tensor.detach().contiguous().flatten().view(torch.uint8).numpy()
            rest = memoryview(content.data)
            while len(rest):
                rest = rest[os.pwrite(self.descriptor, rest, self.size - len(rest)) :]
            found.append((start, tensor.dtype, tuple(tensor.shape)))
        return tuple(found)

    def clear(self) -> None:
        """Begin anew from its first byte."""
        self.size = 0

    def close(self) -> None:
        """Readers keep what they have mapped."""
        os.close(self.descriptor)


@dataclass(eq=False)
class View:
    """Another process's region. Its file descriptor is read as it grows."""

    descriptor: int
    mapped: mmap.mmap | None = None

    def read(self, layout: Sequence[tuple[int, torch.dtype, tuple[int, ...]]]) -> list[Tensor]:
        """The tensors, not copied."""
        size = max((start + _length(dtype, shape) for start, dtype, shape in layout), default=0)
        if self.mapped is None or len(self.mapped) < size:
            self.mapped = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
        found = []
        for start, dtype, shape in layout:
            count = _length(dtype, shape) // dtype.itemsize
            if count:
                found.append(torch.frombuffer(self.mapped, dtype=dtype, count=count, offset=start).view(shape))
            else:  # frombuffer refuses nothing
                found.append(torch.empty(shape, dtype=dtype))
        return found

    def close(self) -> None:
        """Tensors read from it stay valid."""
        os.close(self.descriptor)


def _length(dtype: torch.dtype, shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel() * dtype.itemsize
