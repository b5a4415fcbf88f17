"""Launches recorded once and replayed: where a step is shorter than what it takes to launch it, the host is too slow.

A CUDA graph knows addresses, not values. What it reads is copied to where it reads it, and what it wrote is copied from
there, so that a pass stays a function of its tensors. Not yet run on a device: ``ENABLED`` is to be set by who has.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

__all__ = ["ENABLED", "KNOWN", "LIMIT", "Given", "Pass", "Recorded", "can_record", "record", "replayed"]

ENABLED = False
"""Whether passes step by step on a CUDA device are replayed."""
LIMIT = 8
"""Graphs that are kept: each holds the memory of its pass."""

Given = Sequence[Tensor | None]
Pass = Callable[..., tuple[Tensor | None, ...]]


class _Graph(Protocol):
    def replay(self) -> None: ...


class Recorded(NamedTuple):
    graph: _Graph
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]


KNOWN: OrderedDict[Hashable, Recorded | None] = OrderedDict()


def replayed(name: Hashable, compute: Pass, given: Given) -> tuple[Tensor | None, ...]:
    """``compute(*given)``. From the second time on, for this name and tensors of these shapes, one launch.

    ``name`` stands for ``compute`` and all that it does not take as a tensor. The first time runs as ever, because what
    compiles or asks for a workspace cannot be recorded.
    """
    if not can_record(given[0]):
        return compute(*given)
    shapes = tuple(None if tensor is None else (tensor.shape, tensor.dtype, tensor.device) for tensor in given)
    key = name, shapes
    if key not in KNOWN:
        _remember(key, None)
        return compute(*given)
    recorded = KNOWN[key]
    if recorded is None:
        recorded = record(compute, given)
    _remember(key, recorded)
    for place, tensor in zip(recorded.inputs, given, strict=True):
        if place is not None and tensor is not None:
            place.copy_(tensor)
    recorded.graph.replay()
    return tuple(None if output is None else output.clone() for output in recorded.outputs)


def can_record(tensor: Tensor | None) -> bool:
    """Not while somebody records a graph of his own, of which this pass is to be a part."""
    on_device = ENABLED and tensor is not None and tensor.is_cuda
    return on_device and not torch.cuda.is_current_stream_capturing()


def _remember(key: Hashable, recorded: Recorded | None) -> None:
    KNOWN[key] = recorded
    KNOWN.move_to_end(key)
    while len(KNOWN) > LIMIT:
        KNOWN.popitem(last=False)


def record(compute: Pass, given: Given) -> Recorded:
    inputs = tuple(None if tensor is None else tensor.clone() for tensor in given)
    graph = torch.cuda.CUDAGraph()
    # Other threads may go on allocating: a backward pass runs in a thread of PyTorch's.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        outputs = compute(*inputs)
    return Recorded(graph, inputs, outputs)
