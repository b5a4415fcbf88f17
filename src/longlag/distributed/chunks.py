"""Where a chunk's samples come from: memory that the driver shares, or files that every worker can read again."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.distributed.messages import ChunkSource, Handle, Memory
from longlag.errors import InputError

__all__ = ["FromFiles", "SharedChunk", "cut", "pack", "unpack"]


@runtime_checkable
class FromFiles(Protocol):
    """Samples that stay in files: ``ParquetSequences``, or a class of your own."""

    @property
    def steps(self) -> int:
        """The number of steps of all samples together."""
        ...

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def chunks(self, size: int) -> list[ChunkSource]:
        """Return the chunks of ``size`` samples in their order (the last may hold fewer). Nothing is read yet."""
        ...


@dataclass(frozen=True)
class SharedChunk:
    """A chunk in memory that the driver shares."""

    handle: Handle

    def read(self, memory: Memory) -> SequenceBatch:
        """Return a copy: where numbers stand in memory decides how kernels take them, and so the last bit of a sum."""
        return SequenceBatch(*(tensor.clone() for tensor in memory.read(self.handle)))


def cut(samples: SequenceBatch, size: int) -> Iterator[list[Tensor]]:
    """Yield the tensors of each chunk of ``size`` samples, cut to the longest sequence of the chunk."""
    for numbers in torch.arange(len(samples), device="cpu").split(size):
        yield list(samples.select(numbers).tensors)


# -- objects as tensors ------------------------------------------------------------------------------------------------


class _Pickler(pickle.Pickler):
    """Leaves out the numbers of trainable parameters: ``theta`` comes with each request."""

    def persistent_id(self, obj: Any) -> tuple[str, tuple[int, ...], torch.dtype] | None:
        if isinstance(obj, torch.nn.Parameter) and obj.requires_grad:
            return (str(id(obj)), tuple(obj.shape), obj.dtype)
        return None


class _Unpickler(pickle.Unpickler):
    """Puts zeros where ``_Pickler`` left out a parameter; one parameter used twice stays one."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.parameters: dict[str, torch.nn.Parameter] = {}

    def persistent_load(self, pid: Any) -> torch.nn.Parameter:
        name, shape, dtype = pid
        if name not in self.parameters:
            self.parameters[name] = torch.nn.Parameter(torch.zeros(shape, dtype=dtype, device="cpu"))
        return self.parameters[name]


def pack(thing: object, what: str) -> Tensor:
    """Return ``thing`` pickled, (n,) uint8, without the values of its trainable parameters.

    Raises
    ------
    InputError
        If it cannot be pickled, or belongs to a script or notebook that workers cannot import.
    """
    file = io.BytesIO()
    try:
        _Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(thing)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"{what} cannot be sent to workers ({error}); expected it to be made of what they can import: classes and "
            "functions of a module, no lambdas"
        ) from error
    return torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)


def unpack(tensor: Tensor) -> Any:
    """Return what ``pack`` made bytes of."""
    return _Unpickler(io.BytesIO(tensor.numpy().tobytes())).load()
