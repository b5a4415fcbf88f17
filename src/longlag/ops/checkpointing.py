"""Any engine in bounded memory: what a stretch of steps needs for its way back is computed again when it is needed."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from longlag.cell import CellSpec
from longlag.ops.layer import Layer, State, Weights
from longlag.ops.paths import ErrorPaths

__all__ = ["checkpointed"]


def checkpointed(engine: Layer, every: int) -> Layer:
    """The same layer, ``every`` steps at a time; of a stretch autograd keeps inputs, a state and its own bookkeeping.

    The CPU kernels need none of this: they take ``every`` themselves.
    """

    def layer(
        spec: CellSpec,
        weights: Weights,
        inputs: Tensor,
        state: State,
        lengths: Tensor | None,
        paths: ErrorPaths,
    ) -> tuple[Tensor, State]:
        outputs = []
        stretches = inputs.split(every) if inputs.shape[0] else ()
        for number, stretch in enumerate(stretches):
            left = None if lengths is None else (lengths - number * every).clamp(0, stretch.shape[0])
            found, state = checkpoint(engine, spec, weights, stretch, state, left, paths, use_reentrant=False)
            outputs.append(found)
        if not outputs:
            return inputs.new_zeros((0, *state.output.shape)), state
        return torch.cat(outputs), state

    return layer
