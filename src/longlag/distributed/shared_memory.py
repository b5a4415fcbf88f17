"""Memory that processes share without a name, so that nothing is left behind however they end."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Segment", "SegmentView", "TensorLayout"]

ALIGNMENT = 64  # bytes

TensorLayout = tuple[tuple[int, torch.dtype, tuple[int, ...]], ...]
"""Where tensors stand in a segment: the offset in bytes, type and shape of each."""


class Segment:
    """Shared bytes behind a file descriptor without a name; its owner writes, others read.

    A segment in /dev/shm would do as well, were it not that containers often allow 64 MB there, and that a process
    which writes beyond is killed.
    """

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self.descriptor = os.memfd_create("longlag")
        else:
            with tempfile.TemporaryFile() as file:
                self.descriptor = os.dup(file.fileno())
        self.size = 0

    @classmethod
    def inherited(cls, descriptor: int) -> Segment:
        """Return the segment that the parent process has opened as ``descriptor``, from its first byte."""
        segment = cls.__new__(cls)
        segment.descriptor, segment.size = descriptor, 0
        return segment

    def append(self, tensors: Iterable[Tensor]) -> TensorLayout:
        """Write tensors behind those that the segment holds; return where they stand."""
        layout = []
        for tensor in tensors:
            start = -(-self.size // ALIGNMENT) * ALIGNMENT
            self.size = start + tensor.numel() * tensor.element_size()
            os.ftruncate(self.descriptor, max(self.size, 1))
            content = tensor.detach().contiguous().flatten().view(torch.uint8).numpy()
            rest = memoryview(content.data)
            while len(rest):
                rest = rest[os.pwrite(self.descriptor, rest, self.size - len(rest)) :]
            layout.append((start, tensor.dtype, tuple(tensor.shape)))
        return tuple(layout)

    def clear(self) -> None:
        """Let the next tensor be written at the first byte."""
        self.size = 0

    def close(self) -> None:
        """Close the descriptor. Readers keep what they have mapped."""
        os.close(self.descriptor)


@dataclass(eq=False)
class SegmentView:
    """A reader's view of a segment that another process writes. It grows with the segment."""

    descriptor: int
    mapped: mmap.mmap | None = None

    def read(self, layout: Sequence[tuple[int, torch.dtype, tuple[int, ...]]]) -> list[Tensor]:
        """Return the tensors, in the shared memory itself."""
        size = max((start + _length(dtype, shape) for start, dtype, shape in layout), default=0)
        if self.mapped is None or len(self.mapped) < size:
            self.mapped = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
        tensors = []
        for start, dtype, shape in layout:
            count = _length(dtype, shape) // dtype.itemsize
            if count:
                tensors.append(torch.frombuffer(self.mapped, dtype=dtype, count=count, offset=start).view(shape))
            else:  # frombuffer refuses an empty buffer
                tensors.append(torch.empty(shape, dtype=dtype, device="cpu"))
        return tensors

    def close(self) -> None:
        """Close the descriptor. Tensors that were read stay valid."""
        os.close(self.descriptor)


def _length(dtype: torch.dtype, shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel() * dtype.itemsize
