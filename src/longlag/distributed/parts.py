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
from longlag.distributed.question import Handle, Memory, Part
from longlag.errors import InputError

__all__ = ["FromFiles", "Shared", "pack", "pieces", "unpack"]


@runtime_checkable
class FromFiles(Protocol):
    """Samples that lie in files: ``ParquetSequences``, or a class of your own."""

    @property
    def steps(self) -> int:
        """Of all of them together."""
        ...

    def __len__(self) -> int:
        """How many."""
        ...

    def parts(self, size: int) -> list[Part]:
        """Chunks of ``size`` samples, the last one perhaps of fewer, in their order. Nothing is read."""
        ...


@dataclass(frozen=True)
class Shared:
    """A chunk in memory that the driver shares."""

    handle: Handle

    def read(self, memory: Memory) -> SequenceBatch:
        """A copy: where numbers stand in memory decides how kernels take them, and so the last bit of a sum."""
        return SequenceBatch(*(tensor.clone() for tensor in memory.read(self.handle)))


def pieces(samples: SequenceBatch, size: int) -> Iterator[list[Tensor]]:
    """The tensors of ``size`` samples after another, each piece cut to its longest sequence. At least one piece."""
    for numbers in torch.arange(len(samples)).split(size):
        piece = samples.select(numbers)
        yield [piece.inputs, piece.lengths, piece.targets, piece.target_mask]


# -- objects as tensors ------------------------------------------------------------------------------------------------


class _Pickler(pickle.Pickler):
    """Leaves out the numbers of parameters that are trained: they come with each question."""

    def persistent_id(self, obj: Any) -> tuple[str, tuple[int, ...], torch.dtype] | None:
        if isinstance(obj, torch.nn.Parameter) and obj.requires_grad:
            return (str(id(obj)), tuple(obj.shape), obj.dtype)
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.made: dict[str, torch.nn.Parameter] = {}

    def persistent_load(self, pid: Any) -> torch.nn.Parameter:
        name, shape, dtype = pid
        if name not in self.made:
            self.made[name] = torch.nn.Parameter(torch.zeros(shape, dtype=dtype))
        return self.made[name]


def pack(thing: object, what: str) -> Tensor:
    """As bytes (n,) uint8, without the values of trainable parameters.

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
    """What ``pack`` made bytes of."""
    return _Unpickler(io.BytesIO(tensor.numpy().tobytes())).load()
