"""Sharpness that is learned: one slope for each kind of gate of a layer, as a factor on the gate's weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.nn.layers import LayerParameters
from longlag.ops.layer import Weights

__all__ = ["gate_slopes", "sharpened"]


def gate_slopes(lstm: LayerParameters) -> list[dict[str, float]]:
    """Return the slope of each gate ("i", "f", "o") as it is now, learned or not, for each layer and direction."""
    gates, fixed = lstm.sizes.cell.gates, lstm.sizes.cell.sharpness
    slopes = []
    for weights in lstm.layer_parameters():
        logs = weights["log_sharpness"].tolist() if lstm.sizes.learn_sharpness else [0.0] * len(gates)
        slopes.append({gate: fixed * math.exp(log) for gate, log in zip(gates, logs, strict=True)})
    return slopes


def _factors(spec: CellSpec, hidden_size: int, logs: Tensor) -> Tensor:
    """Return exp(a) in the rows of each gate and 1 in all others, (rows,). ``logs`` is a, (gates,)."""
    factors = logs.exp()
    parts = []
    for name, rows in spec.rows(hidden_size).items():
        factor = factors[spec.gates.index(name)] if name in spec.gates else factors.new_ones(())
        parts.append(factor.expand(rows.stop - rows.start))
    return torch.cat(parts)


def sharpened(spec: CellSpec, hidden_size: int, weights: Weights, logs: Tensor) -> Weights:
    """Return the weights with which an engine that knows ``sharpness`` alone computes gates of learned slopes.

    For each gate k, with c the cell's fixed (or scheduled) sharpness and a_k the learned logarithm::

        alpha_k = c exp(a_k)
        sigma(alpha_k (W x + R r + p s + b)) = sigma(c (W' x + R' r + p' s + b')),    W' = exp(a_k) W, and so on

    Engines see W', R', p' and b' and need to know nothing of it; a's gradient is that of the products, whichever paths
    the error takes: dE/da_k = sum of w' dE/dw' over the gate's weights. At a = 0 the factor is 1 and changes no bit.
    The logarithm keeps alpha positive, makes its steps relative ones, and lets weight decay pull it to c.

    ``logs``: (gates,), gates in the order i, f, o; coupled gates share that of the input gate.
    """
    rows = _factors(spec, hidden_size, logs)
    return Weights(
        rows[:, None] * weights.input,
        rows[:, None] * weights.recurrent,
        None if weights.bias is None else rows * weights.bias,
        None if weights.peephole is None else logs.exp()[:, None] * weights.peephole,
        weights.projection,
    )
