"""The plain cell on PyTorch's own fused kernels (oneDNN, cuDNN), for what those can do: full gradient, tanh, no extras."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.ops.layer import State, Weights
from longlag.ops.paths import FULL, ErrorPaths

__all__ = ["can_run", "layer"]


def can_run(spec: CellSpec, paths: ErrorPaths) -> bool:
    """Whether this cell and gradient are torch.nn.LSTM's. How its biases are stored does not matter."""
    return dataclasses.replace(spec, biases="double") == CellSpec() and paths == FULL


def layer(
    spec: CellSpec,
    weights: Weights,
    inputs: Tensor,
    state: State,
    lengths: Tensor | None,
    paths: ErrorPaths,
) -> tuple[Tensor, State]:
    """See ``ops.layer.Layer``."""
    assert can_run(spec, paths)
    if not inputs.shape[0]:  # torch refuses an empty time axis
        return inputs.new_zeros((*inputs.shape[:2], state.output.shape[-1])), state
    if lengths is None:
        outputs, output, cells = _run(weights, (inputs,), state.output, state.cells)
        return outputs, State(output, cells, state.gates)
    return _ragged(weights, inputs, state, lengths)


def _ragged(weights: Weights, inputs: Tensor, state: State, lengths: Tensor) -> tuple[Tensor, State]:
    """Longest first, steps laid end to end without padding (torch's packed form, which refuses empty sequences)."""
    order = torch.argsort(lengths, descending=True, stable=True)
    order = order[lengths[order] > 0]
    running = torch.arange(inputs.shape[0], device=lengths.device)[:, None] < lengths[order][None, :]
    values, output, cells = _run(
        weights,
        (inputs[:, order][running], running.sum(1).cpu()),
        state.output[order],
        state.cells[order],
    )
    steps, columns = torch.nonzero(running, as_tuple=True)
    outputs = inputs.new_zeros((*inputs.shape[:2], output.shape[-1])).index_put((steps, order[columns]), values)
    final = State(state.output.index_copy(0, order, output), state.cells.index_copy(0, order, cells), state.gates)
    return outputs, final


def _run(weights: Weights, stream: tuple[Tensor, ...], output: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``stream``: (inputs,) or (packed inputs, batch sizes); states (B, .)."""
    flat = [weights.input, weights.recurrent]
    if weights.bias is not None:
        flat += [weights.bias, torch.zeros_like(weights.bias)]
    if weights.projection is not None:
        flat.append(weights.projection)
    start = [output.unsqueeze(0), cells.unsqueeze(0)]
    # train=True with dropout 0: the same numbers, and cuDNN keeps what a later backward pass needs
    options = (weights.bias is not None, 1, 0.0, True, False)
    if len(stream) == 1:
        outputs, final_output, final_cells = torch.lstm(stream[0], start, flat, *options, False)
    else:
        outputs, final_output, final_cells = torch.lstm(*stream, start, flat, *options)
    return outputs, final_output.squeeze(0), final_cells.squeeze(0)
