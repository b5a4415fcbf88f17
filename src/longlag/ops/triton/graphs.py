"""CUDA graphs of a pass: where a step is shorter than what it takes to launch it, the host is too slow.

A graph knows addresses, not values. What it reads is copied to where it reads it, and what it wrote is copied from
there, so that a pass stays a function of its tensors. No device has run this yet; who has seen one
do it sets ``ENABLED``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

__all__ = ["ENABLED", "MOST_GRAPHS", "RECORDED", "Pass", "Recording", "Tensors", "can_record", "record", "replay"]

ENABLED = False
"""Whether passes step by step on a CUDA device are replayed."""
MOST_GRAPHS = 8
"""Graphs that are kept: each holds the memory of its pass."""

Tensors = Sequence[Tensor | None]
Pass = Callable[..., tuple[Any, ...]]
"""From tensors, or None in the place of one, to the same."""


class _Graph(Protocol):
    def replay(self) -> None: ...


class Recording(NamedTuple):
    """A graph, the tensors that it reads, and those that it writes."""

    graph: _Graph
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]


RECORDED: OrderedDict[Hashable, Recording | None] = OrderedDict()
"""By name and shapes; None where a pass has run once and is recorded when it comes again."""


def replay(name: Hashable, compute: Pass, tensors: Tensors) -> tuple[Any, ...]:
    """``compute(*tensors)``. From the second time on, for this name and tensors of these shapes, it is one launch.

    ``name`` stands for ``compute`` and all that it does not take as a tensor. The first time runs without a graph,
    because what compiles or asks for a workspace cannot be recorded.
    """
    if not can_record(tensors[0]):
        return compute(*tensors)
    shapes = tuple(None if tensor is None else (tensor.shape, tensor.dtype, tensor.device) for tensor in tensors)
    key = name, shapes
    if key not in RECORDED:
        _remember(key, None)
        return compute(*tensors)
    recording = RECORDED[key]
    if recording is None:
        recording = record(compute, tensors)
    _remember(key, recording)
    for place, tensor in zip(recording.inputs, tensors, strict=True):
        if place is not None and tensor is not None:
            place.copy_(tensor)
    recording.graph.replay()
    return tuple(None if output is None else output.clone() for output in recording.outputs)


def can_record(tensor: Tensor | None) -> bool:
    """Return whether a pass may be recorded here: not while a user records a graph that it is to be a part of."""
    on_device = ENABLED and tensor is not None and tensor.is_cuda
    return on_device and not torch.cuda.is_current_stream_capturing()


def _remember(key: Hashable, recording: Recording | None) -> None:
    RECORDED[key] = recording
    RECORDED.move_to_end(key)
    while len(RECORDED) > MOST_GRAPHS:
        RECORDED.popitem(last=False)


def record(compute: Pass, tensors: Tensors) -> Recording:
    """Record ``compute`` on copies of these tensors."""
    inputs = tuple(None if tensor is None else tensor.clone() for tensor in tensors)
    graph = torch.cuda.CUDAGraph()
    # Other threads may go on allocating: a backward pass runs in a thread of PyTorch's.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        outputs = compute(*inputs)
    return Recording(graph, inputs, outputs)
