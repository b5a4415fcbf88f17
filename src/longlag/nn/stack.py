"""A stack of layers, each in one or both directions, run one after the other over whole sequences."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import dropout

from longlag.nn.layout import InputFormat, reverse
from longlag.nn.sharpness import sharpened
from longlag.nn.sizes import LayerSizes
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
    """Outputs of the highest layer (T, B, O), and the final state of each layer and direction.

    ``states`` are those before the first step. ``dropout_rate`` is that of the outputs of all layers but the highest,
    while training.
    """
    values = form.inputs
    finals: list[State] = []
    for layer in range(sizes.num_layers):
        directions = []
        for backwards, suffix in enumerate(sizes.suffixes(layer)):
            weights = _weights(sizes, parameters, suffix, values.dtype)
            stream = reverse(values, form.lengths) if backwards else values
            extra = {name: parameters(f"{name}_{suffix}").to(values.dtype) for name in sizes.extra_names}
            call = LayerCall(sizes.cell, weights, stream, states[len(finals)], form.lengths, paths, options, extra)
            outputs, final = engine.run(call)
            directions.append(reverse(outputs, form.lengths) if backwards else outputs)
            finals.append(final)
        if options.recording is not None:
            options.recording.layers.extend(directions)
        values = torch.cat(directions, dim=-1) if len(directions) > 1 else directions[0]
        if dropout_rate and layer + 1 < sizes.num_layers:
            values = dropout(values, dropout_rate, bool(options.training))
    return values, finals


def _weights(sizes: LayerSizes, parameters: Parameters, suffix: str, dtype: torch.dtype) -> Weights:
    """The weights that an engine takes for one layer and direction, in the type in which it computes."""
    cell = sizes.cell

    def weight(name: str) -> Tensor:
        parameter = parameters(f"{name}_{suffix}")
        return parameter if parameter.dtype is dtype else parameter.to(dtype)

    bias = None
    if sizes.bias:
        bias = weight("bias_ih")
        if cell.biases == "double":
            bias = bias + weight("bias_hh")
    weights = Weights(
        weight("weight_ih"),
        weight("weight_hh"),
        unit_bias(cell, bias, sizes.hidden_size),
        weight("weight_peephole") if cell.peepholes else None,
        weight("weight_hr") if sizes.proj_size else None,
    )
    if not sizes.learn_sharpness:
        return weights
    return sharpened(cell, sizes.hidden_size, weights, weight("log_sharpness"))
