"""A stack of layers, each in one or both directions, run one after the other over whole sequences."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import dropout

from longlag.nn.layout import InputFormat, reverse
from longlag.nn.sharpness import sharpened
from longlag.nn.sizes import LayerSizes, ParameterNames
from longlag.ops.engine import CallOptions, Engine, LayerCall
from longlag.ops.layer import State, Weights, unit_bias
from longlag.ops.paths import GradientPaths

__all__ = ["Parameters", "run_stack"]

Parameters = Callable[[str], Tensor]
"""The parameter of a name, suffix included."""


def run_stack(
    sizes: LayerSizes,
    parameters: Parameters,
    engine: Engine,
    form: InputFormat,
    states: list[State],
    paths: GradientPaths,
    options: CallOptions,
    dropout_rate: float,
) -> tuple[Tensor, list[State]]:
    """Return outputs of the highest layer (T, B, O), and the final state of each layer and direction.

    ``states`` are those before the first step. ``dropout_rate`` is that of the outputs of all layers but the highest,
    while training.
    """
    values = form.inputs
    finals: list[State] = []
    for layer, directions in enumerate(sizes.names):
        outputs = []
        for backwards, names in enumerate(directions):
            weights = _weights(sizes, parameters, names, values.dtype)
            stream = reverse(values, form.lengths) if backwards else values
            extra = {name: parameters(full).to(values.dtype) for name, full in names.extra}
            call = LayerCall(sizes.cell, weights, stream, states[len(finals)], form.lengths, paths, options, extra)
            stream, final = engine.run(call)
            outputs.append(reverse(stream, form.lengths) if backwards else stream)
            finals.append(final)
        if options.recording is not None:
            options.recording.layers.extend(outputs)
        values = torch.cat(outputs, dim=-1) if len(outputs) > 1 else outputs[0]
        if dropout_rate and layer + 1 < sizes.num_layers:
            values = dropout(values, dropout_rate, bool(options.training))
    return values, finals


def _weights(sizes: LayerSizes, parameters: Parameters, names: ParameterNames, dtype: torch.dtype) -> Weights:
    """Return the weights that an engine takes for one layer and direction, in the type in which it computes."""

    def weight(name: str) -> Tensor:
        parameter = parameters(name)
        return parameter if parameter.dtype is dtype else parameter.to(dtype)

    bias = None if names.bias_ih is None else weight(names.bias_ih)
    if bias is not None and names.bias_hh is not None:
        bias = bias + weight(names.bias_hh)
    weights = Weights(
        weight(names.weight_ih),
        weight(names.weight_hh),
        unit_bias(sizes.cell, bias, sizes.hidden_size),
        None if names.weight_peephole is None else weight(names.weight_peephole),
        None if names.weight_hr is None else weight(names.weight_hr),
    )
    if names.log_sharpness is None:
        return weights
    return sharpened(sizes.cell, sizes.hidden_size, weights, weight(names.log_sharpness))
