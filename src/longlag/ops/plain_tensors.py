"""What a kernel may be given. It sees addresses alone: here is the one gate before any address is taken.

A plain tensor is PyTorch's own class (or a parameter), strided, in memory of its own, at an address that fits its
number type, and without a pending sign or conjugation. What can be made plain is; what somebody records (tracers,
dispatch modes, fake tensors) goes by an operator; the rest is refused in a sentence.
"""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import is_fake

from longlag.cell import CellSpec
from longlag.errors import InputError

__all__ = ["check_lengths", "check_shapes", "dense", "has_values", "is_plain", "is_recorded", "plain"]

_CLASSES = frozenset({Tensor, torch.nn.Parameter, type(None)})
# Mapped over tensors: of all loops the cheapest.
_is_neg, _address = Tensor.is_neg, Tensor.data_ptr


def is_recorded(tensors: Sequence[Tensor | None]) -> bool:
    """Return whether somebody follows operators, so that there may be no memory to hand to a kernel.

    Raises InputError for tensors that are spread over processes, which neither a kernel nor its operator can read.
    """
    if torch.compiler.is_compiling():
        return True
    if not _CLASSES.issuperset(map(type, tensors)):
        _refuse_distributed(tensors)
        return True
    # make_fx and other dispatch modes; torch.jit.trace
    return torch._C._len_torch_dispatch_stack() > 0 or torch._C._get_tracing_state() is not None


def has_values(tensor: Tensor) -> bool:
    """Return whether there are numbers to read: fake and meta tensors have shape, type and device alone."""
    return not (tensor.is_meta or (type(tensor) not in _CLASSES and is_fake(tensor)))


def _refuse_distributed(tensors: Sequence[Tensor | None]) -> None:
    module = sys.modules.get("torch.distributed.tensor")  # without it there are none
    for tensor in tensors:
        if module is not None and isinstance(tensor, module.DTensor):
            raise InputError(
                f"a tensor of shape {tuple(tensor.shape)} is a DTensor, spread over processes; expected plain tensors: "
                "FSDP gathers weights for forward alone, and full_tensor() does for any other call"
            )


def is_plain(tensor: Tensor) -> bool:
    """Return whether a kernel may read this tensor at its address, whatever its strides, shape and type."""
    if type(tensor) not in _CLASSES or tensor.layout is not torch.strided or tensor.is_neg() or tensor.is_conj():
        return False
    address = tensor.data_ptr()
    return not address % tensor.element_size() and (address != 0 or tensor.numel() == 0)


def plain(tensors: Iterable[Tensor | None]) -> tuple[Any, ...]:
    """Return each tensor, as a kernel may read it: itself, or a copy with the same values in the same graph.

    Raises InputError for what has no memory that a kernel could read.
    """
    tensors = tuple(tensors)
    present = [tensor for tensor in tensors if tensor is not None]
    if not present:
        return tensors
    odd: object
    try:
        addresses = list(map(_address, present))
        # All have one number type, whose size is a power of two: one of them is misaligned if all bits together are.
        odd = any(map(_is_neg, present)) or functools.reduce(operator.or_, addresses, 0) % present[0].element_size()
        if not odd and 0 in addresses:  # the address of tensors without numbers, of which most cells have one
            first = present[addresses.index(0)]
            odd = first.numel() or (addresses.count(0) > 1 and any(_lacks_memory(tensor) for tensor in present))
    except RuntimeError:  # sparse tensors have no address
        odd = True
    return tuple(None if tensor is None else _made_plain(tensor) for tensor in tensors) if odd else tensors


def _lacks_memory(tensor: Tensor) -> bool:
    return tensor.data_ptr() == 0 and tensor.numel() > 0


def _made_plain(tensor: Tensor) -> Tensor:
    if tensor.layout is not torch.strided:
        raise InputError(f"a tensor of shape {tuple(tensor.shape)} is {tensor.layout}; expected a dense one")
    tensor = tensor.resolve_conj().resolve_neg()
    if tensor._is_zerotensor():
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    if is_plain(tensor):
        return tensor
    tensor = tensor.clone(memory_format=torch.contiguous_format)
    if not is_plain(tensor):
        raise InputError(
            f"a tensor of shape {tuple(tensor.shape)} on {tensor.device} has no memory; expected one with numbers in it"
        )
    return tensor


def dense(tensors: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Return each tensor contiguous: kernels read weights and states so."""
    return tuple([None if tensor is None else tensor.contiguous() for tensor in tensors])


_NAMES = ("output", "cells", "gates", "weight_input", "weight_recurrent", "bias", "peephole", "projection")


@functools.lru_cache(maxsize=256)
def _shapes(spec: CellSpec, samples: int, inputs: int, hidden: int, projection: int) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of state and weights."""
    rows = spec.row_count(hidden)
    return (
        (samples, spec.output_size(hidden, projection)),
        (samples, hidden),
        (samples, spec.gate_size(hidden) if spec.gate_recurrence else 0),
        (rows, inputs),
        (rows, spec.source_size(hidden, projection)),
        (rows,),
        (len(spec.gates), hidden),
        (projection, hidden),
    )


def check_shapes(spec: CellSpec, inputs: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor | None]) -> None:
    """Refuse what a kernel would read past its end. Raises InputError."""
    others = (*state, *weights)
    cells, peephole, projection = state[1], weights[3], weights[4]
    _, samples, features = inputs.shape
    columns = 0 if projection is None else projection.shape[0]
    shapes = _shapes(spec, samples, features, cells.shape[-1], columns)
    if spec.peepholes and peephole is None:
        raise InputError("peephole is missing; the cell has peepholes")
    dtype, device = inputs.dtype, inputs.device
    for number, tensor in enumerate(others):
        if tensor is None:
            continue
        if tensor.shape != shapes[number] or tensor.dtype is not dtype or tensor.device != device:
            raise InputError(
                f"{_NAMES[number]} is {tuple(tensor.shape)} {tensor.dtype} on {tensor.device}; "
                f"expected {shapes[number]} {dtype} on {device}"
            )


def check_lengths(lengths: Tensor, inputs: Tensor) -> None:
    """Refuse lengths that lead past the end of ``inputs`` (T, B, I). Raises InputError."""
    steps, samples, _ = inputs.shape
    fits = lengths.shape == (samples,) and lengths.dtype == torch.int64 and lengths.device == inputs.device
    if not fits or (samples and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps):
        raise InputError(f"lengths is {lengths.tolist()} ({lengths.dtype}); expected {samples} int64 in 0..{steps}")
