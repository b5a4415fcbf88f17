"""The plain cell on PyTorch's own fused kernels (oneDNN, cuDNN): full gradient, tanh, no extras."""

from __future__ import annotations

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.ops.engine import Engine, LayerCall
from longlag.ops.layer import State, Weights
from longlag.ops.paths import GradientPaths
from longlag.ops.plain_tensors import has_values

__all__ = ["TorchEngine", "layer"]


class TorchEngine(Engine):
    """``layer`` as an engine, "torch". How the biases are stored does not matter: it is handed their sum."""

    name = "torch"
    fields = frozenset({"biases"})

    def refuses_cell(self, spec: CellSpec, paths: GradientPaths) -> str | None:
        if super().refuses_cell(spec, paths) is None:
            return None
        return "runs the default cell with the full gradient only"

    def run(self, call: LayerCall) -> tuple[Tensor, State]:
        return layer(call)


def layer(call: LayerCall) -> tuple[Tensor, State]:
    """See ``Engine.run``."""
    weights, inputs, state, lengths = call.weights, call.inputs, call.state, call.lengths
    if not inputs.shape[0]:  # torch refuses an empty time axis
        return inputs.new_zeros((*inputs.shape[:2], state.output.shape[-1])), state
    # Without values there are shapes alone, and lengths do not change those.
    if lengths is None or not has_values(lengths):
        outputs, output, cells = _run(weights, inputs, None, state.output, state.cells)
        return outputs, State(output, cells, state.gates)
    return _ragged(weights, inputs, state, lengths)


def _ragged(weights: Weights, inputs: Tensor, state: State, lengths: Tensor) -> tuple[Tensor, State]:
    """Longest first, steps laid end to end without padding (torch's packed form, which refuses empty sequences)."""
    order = torch.argsort(lengths, descending=True, stable=True)
    order = order[lengths[order] > 0]
    running = torch.arange(inputs.shape[0], device=lengths.device)[:, None] < lengths[order][None, :]
    values, output, cells = _run(
        weights,
        inputs[:, order][running],
        running.sum(1).cpu(),
        state.output[order],
        state.cells[order],
    )
    steps, columns = torch.nonzero(running, as_tuple=True)
    outputs = inputs.new_zeros((*inputs.shape[:2], output.shape[-1])).index_put((steps, order[columns]), values)
    final = State(state.output.index_copy(0, order, output), state.cells.index_copy(0, order, cells), state.gates)
    return outputs, final


def _run(
    weights: Weights, inputs: Tensor, batch_sizes: Tensor | None, output: Tensor, cells: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """``inputs`` (T, B, I), or packed (steps, I) with ``batch_sizes`` (T,); states (B, .)."""
    flat = [weights.input, weights.recurrent]
    if weights.bias is not None:
        flat += [weights.bias, torch.zeros_like(weights.bias)]
    if weights.projection is not None:
        flat.append(weights.projection)
    start = [output.unsqueeze(0), cells.unsqueeze(0)]
    # train=True with dropout 0: the same numbers, and cuDNN keeps what a later backward pass needs
    biased, layers, dropout, train, both_ways, batch_first = weights.bias is not None, 1, 0.0, True, False, False
    if batch_sizes is None:
        results = torch.lstm(inputs, start, flat, biased, layers, dropout, train, both_ways, batch_first)
    else:
        results = torch.lstm(inputs, batch_sizes, start, flat, biased, layers, dropout, train, both_ways)
    outputs, final_output, final_cells = results
    return outputs, final_output.squeeze(0), final_cells.squeeze(0)
