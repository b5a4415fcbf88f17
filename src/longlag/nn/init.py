"""Initialisations of a layer's weights, each from its source. All work in place on every layer and direction.

Those that draw every weight let a learned sharpness begin anew, at the cell's own: the same draws with it as without.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from longlag.errors import InputError
from longlag.nn.layers import LayerParameters
from longlag.nn.sharpness import gate_slopes

__all__ = ["chrono_", "forget_bias_", "hochreiter1997_", "shut_", "sparse_", "uniform_"]


@torch.no_grad()
def uniform_(lstm: LayerParameters) -> None:
    """torch.nn.LSTM's own: every weight and bias from U(-1/sqrt(H), 1/sqrt(H)), drawn in the same order."""
    bound = 1.0 / math.sqrt(lstm.sizes.hidden_size)
    for weight in _drawn(lstm):
        weight.uniform_(-bound, bound)


@torch.no_grad()
def hochreiter1997_(
    lstm: LayerParameters,
    interval: float = 0.1,
    *,
    output_gate_bias: Sequence[float] | None = None,
    input_gate_bias: Sequence[float] | None = None,
) -> None:
    """Weights and biases from U(-interval, interval), then gate biases block by block (1997 paper, Tables 10 and 11).

    Parameters
    ----------
    interval : float
        0.2 for the paper's tasks 1 and 2, 0.1 for the others (Table 11, column 3).
    output_gate_bias, input_gate_bias : sequence of float, one per block, or None
        Table 10, columns 10 and 11 (ogb, igb), e.g. ``(-2, -4, -6)``; None leaves them random ("r").

    Raises
    ------
    InputError
        If a bias list does not have one entry per block, or the cell has no such gate or bias.
    """
    for weight in _drawn(lstm):
        weight.uniform_(-interval, interval)
    for gate, values in (("o", output_gate_bias), ("i", input_gate_bias)):
        if values is not None:
            _set_gate_bias(lstm, gate, values)


@torch.no_grad()
def forget_bias_(lstm: LayerParameters, value: float = 1.0) -> None:
    """Every forget gate starts with this bias, so that states are kept until the net learns to drop them.

    Where a unit has two biases the first takes the value and the second zero: their sum is what counts.

    Raises
    ------
    InputError
        If the cell has no forget gate of its own, or no bias.
    """
    _set_gate_bias(lstm, "f", [value] * lstm.sizes.cell.blocks(lstm.sizes.hidden_size))


@torch.no_grad()
def shut_(lstm: LayerParameters, net: float = -4.0) -> None:
    """Input gates start almost shut: with small weights, sigma(net) of what comes in is let in.

    For cells without forget gates, whose states otherwise fill with everything that passes by (1997 paper, section
    4.7, bias against drift; batch paper, section 4). What counts is the net input, alpha times the bias: gates of slope
    alpha get biases of ``net / alpha``. results/batch2013/lags.md compares some.

    Raises
    ------
    InputError
        If the cell has no input gate, or no bias.
    """
    _set_gate_bias(lstm, "i", [net] * lstm.sizes.cell.blocks(lstm.sizes.hidden_size), sloped=True)


@torch.no_grad()
def chrono_(lstm: LayerParameters, longest: int) -> None:
    """Blocks start with memories of every length up to ``longest`` steps: time constants spread evenly over it.

    Tallec & Ollivier 2018, "Can recurrent neural networks warp time?", eq. 16: b_f = log u, b_i = -b_f, with u from
    U(1, longest - 1). Here u runs evenly through that interval, so nothing is drawn. Coupled gates have the second
    bias alone; gates of slope alpha get biases divided by alpha.

    Parameters
    ----------
    longest : int
        Steps of the longest dependency, or of the longest sequence.

    Raises
    ------
    InputError
        If the cell does not forget, or has no bias.
    """
    if not lstm.sizes.cell.forget_gate:
        raise InputError("the cell has no forget gate: it remembers without end already")
    blocks = lstm.sizes.cell.blocks(lstm.sizes.hidden_size)
    span = max(longest - 2, 0)
    values = [math.log(1.0 + span * (block + 0.5) / blocks) for block in range(blocks)]
    for gate, sign in (("f", 1.0), ("i", -1.0)):
        if gate in lstm.sizes.cell.gates:
            _set_gate_bias(lstm, gate, [sign * value for value in values], sloped=True)


@torch.no_grad()
def sparse_(lstm: LayerParameters, connections: int = 15, std: float = 1.0) -> None:
    """Each unit gets ``connections`` random incoming weights from N(0, std); all others, and biases, are zero.

    Martens 2010, section 5. The choice runs over inputs and recurrent source together; a unit with fewer sources
    than ``connections`` uses them all. Peepholes and projections are treated the same way.

    Raises
    ------
    InputError
        If ``connections`` is less than 1.
    """
    if connections < 1:
        raise InputError(f"connections is {connections}; expected at least 1")
    for weights in lstm.layer_parameters():
        joined = torch.cat([weights["weight_ih"], weights["weight_hh"]], dim=1)
        _fill_sparse(joined, connections, std)
        split = weights["weight_ih"].shape[1]
        weights["weight_ih"].copy_(joined[:, :split])
        weights["weight_hh"].copy_(joined[:, split:])
        for name, weight in weights.items():
            if name.startswith("bias") or name == "log_sharpness":
                weight.zero_()
            elif name in ("weight_peephole", "weight_hr"):
                _fill_sparse(weight, connections, std)


def _drawn(lstm: LayerParameters) -> Iterator[torch.nn.Parameter]:
    """The parameters that an initialisation draws, in order; the others are set to zero."""
    for name, weight in lstm.named_parameters():
        if "log_sharpness" in name:
            weight.zero_()
        else:
            yield weight


def _fill_sparse(weight: torch.Tensor, connections: int, std: float) -> None:
    chosen = torch.rand(weight.shape).argsort(dim=1)[:, :connections].to(weight.device)
    values = torch.randn(chosen.shape, dtype=weight.dtype, device=weight.device) * std
    weight.data.zero_().scatter_(1, chosen, values)


def _set_gate_bias(lstm: LayerParameters, gate: str, values: Sequence[float], *, sloped: bool = False) -> None:
    """One value per block; ``sloped``: they are meant after the multiplication by the gate's slope."""
    sizes, cell = lstm.sizes, lstm.sizes.cell
    blocks = cell.blocks(sizes.hidden_size)
    names = {"i": "input", "f": "forget", "o": "output"}
    if gate not in cell.gates:
        raise InputError(f"the cell has no {names[gate]} gate of its own to give a bias")
    if not sizes.bias:
        raise InputError(f"the layer has no biases (bias=False); expected some to set for the {names[gate]} gate")
    if len(values) != blocks:
        raise InputError(f"{len(values)} {names[gate]} gate biases for {blocks} blocks; expected one per block")
    rows = cell.rows(sizes.hidden_size)[gate]
    start = rows.start
    if cell.biases == "gates" and gate == "o":
        start -= sizes.hidden_size  # the bias vector has no entries for the cells, which stand before the output gate
    for weights, slopes in zip(lstm.layer_parameters(), gate_slopes(lstm), strict=True):
        bias, slope = weights["bias_ih"], slopes[gate] if sloped else 1.0
        own = [value / slope for value in values]
        bias[start : start + blocks] = torch.tensor(own, dtype=bias.dtype, device=bias.device)
        if "bias_hh" in weights:
            weights["bias_hh"][start : start + blocks] = 0.0
