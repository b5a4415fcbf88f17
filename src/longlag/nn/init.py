"""Initialisations of a layer's weights, each from its source. All work in place on every layer and direction.

Those that draw every weight let a learned sharpness begin anew, at the cell's own: the same draws with it as without.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from longlag.checks import is_number, not_negative, whole_number
from longlag.errors import InputError, InputTypeError
from longlag.nn.layers import LayerParameters
from longlag.nn.sharpness import gate_slopes
from longlag.nn.sizes import LayerSizes
from longlag.nn.tensors import as_list

__all__ = ["chrono_", "forget_bias_", "hochreiter1997_", "shut_", "sparse_", "uniform_"]

_NAMES = {"i": "input", "f": "forget", "o": "output"}


@torch.no_grad()
def uniform_(lstm: LayerParameters) -> None:
    """Draw every weight and bias from U(-1/sqrt(H), 1/sqrt(H)), in the same order as torch.nn.LSTM does."""
    _check(lstm)
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
    """Draw weights and biases from U(-interval, interval); set gate biases by block (1997 paper, Tables 10 and 11).

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
    _check(lstm)
    _check_fits("interval", interval, lstm, least=0.0)
    biases = {"o": output_gate_bias, "i": input_gate_bias}
    checked = {gate: _checked_biases(lstm, gate, values) for gate, values in biases.items() if values is not None}
    for weight in _drawn(lstm):
        weight.uniform_(-interval, interval)
    for gate, numbers in checked.items():
        _set_gate_bias(lstm, gate, numbers)


@torch.no_grad()
def forget_bias_(lstm: LayerParameters, value: float = 1.0) -> None:
    """Start every forget gate with this bias, so that states stay until the net learns to drop them.

    Where a unit has two biases the first takes the value and the second zero: their sum is what counts.

    Raises
    ------
    InputError
        If the cell has no forget gate of its own, or no bias.
    """
    _check(lstm)
    _check_fits("value", value, lstm)
    _set_gate_bias(lstm, "f", [float(value)] * _blocks(lstm))


@torch.no_grad()
def shut_(lstm: LayerParameters, net: float = -4.0) -> None:
    """Start input gates almost shut: while weights are small, they let in sigma(net) of what arrives.

    For cells without forget gates, whose states otherwise fill with everything that passes by (1997 paper, section
    4.7, bias against drift; batch paper, section 4). What counts is the net input, alpha times the bias: gates of slope
    alpha get biases of ``net / alpha``. results/batch2013/lags.md compares some.

    Raises
    ------
    InputError
        If the cell has no input gate, or no bias.
    """
    _check(lstm)
    _check_fits("net", net, lstm)
    _set_gate_bias(lstm, "i", [float(net)] * _blocks(lstm), sloped=True)


@torch.no_grad()
def chrono_(lstm: LayerParameters, longest: int) -> None:
    """Start blocks with memories of all lengths up to ``longest`` steps: their time constants are spread evenly.

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
    _check(lstm)
    if not lstm.sizes.cell.forget_gate:
        raise InputError("the cell has no forget gate: it remembers without end already")
    not_negative("longest", longest)
    blocks, span = _blocks(lstm), max(float(longest) - 2, 0)
    values = [math.log(1.0 + span * (block + 0.5) / blocks) for block in range(blocks)]
    for gate, sign in (("f", 1.0), ("i", -1.0)):
        if gate in lstm.sizes.cell.gates:
            _set_gate_bias(lstm, gate, [sign * value for value in values], sloped=True)


@torch.no_grad()
def sparse_(lstm: LayerParameters, connections: int = 15, std: float = 1.0) -> None:
    """Give each unit ``connections`` random incoming weights from N(0, std); all others, and biases, are zero.

    Martens 2010, section 5. The choice runs over inputs and recurrent source together; a unit with fewer sources
    than ``connections`` uses them all. Peepholes and projections are treated the same way.

    Raises
    ------
    InputError
        If ``connections`` is less than 1.
    """
    connections = whole_number("connections", connections, 1)
    _check(lstm)
    _check_fits("std", std, lstm, least=0.0)
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


def _check(lstm: Any) -> None:
    """Refuse what is not an LSTM, such as the network that holds it."""
    if not isinstance(getattr(lstm, "sizes", None), LayerSizes):
        raise InputTypeError(f"lstm is of type {type(lstm).__name__}; expected a longlag.LSTM")


def _check_fits(name: str, value: Any, lstm: LayerParameters, least: float = -math.inf) -> None:
    """Refuse what is not a finite number, is less than ``least``, or is too large for a weight of the layer's type."""
    most = min(torch.finfo(weight.dtype).max for _, weight in lstm.named_parameters()) / 2
    if not is_number(value) or not max(least, -most) <= value <= most:
        wanted = "a number of at least 0" if least == 0 else "a finite number"
        raise InputError(f"{name} is {value!r}; expected {wanted} that the layer's weights can hold")


def _blocks(lstm: LayerParameters) -> int:
    """Return the number of blocks of each layer and direction."""
    return lstm.sizes.cell.blocks(lstm.sizes.hidden_size)


def _drawn(lstm: LayerParameters) -> Iterator[torch.nn.Parameter]:
    """Return the parameters that an initialisation draws, in order; the others are set to zero."""
    for name, weight in lstm.named_parameters():
        if "log_sharpness" in name:
            weight.zero_()
        else:
            yield weight


def _fill_sparse(weight: torch.Tensor, connections: int, std: float) -> None:
    # Drawn on the CPU, whatever the default device is: the same choice for a layer on any device.
    chosen = torch.rand(weight.shape, device="cpu").argsort(dim=1)[:, :connections].to(weight.device)
    values = torch.randn(chosen.shape, dtype=weight.dtype, device=weight.device) * float(std)
    weight.data.zero_().scatter_(1, chosen, values)


def _checked_biases(lstm: LayerParameters, gate: str, values: Any) -> list[float]:
    """Return the biases of a gate, one per block; refuse what does not fit the layer, before anything is set."""
    cell, blocks, name = lstm.sizes.cell, _blocks(lstm), _NAMES[gate]
    if gate not in cell.gates:
        raise InputError(f"the cell has no {name} gate of its own to give a bias")
    if not lstm.sizes.bias:
        raise InputError(f"the layer has no biases (bias=False); expected some to set for the {name} gate")
    values = as_list(values)
    if not isinstance(values, (list, tuple)):
        raise InputTypeError(f"{name} gate biases are {values!r}; expected one number per block")
    if len(values) != blocks:
        raise InputError(f"{len(values)} {name} gate biases for {blocks} blocks; expected one per block")
    for block, value in enumerate(values):
        _check_fits(f"the {name} gate bias of block {block}", value, lstm)
    return [float(value) for value in values]


def _set_gate_bias(lstm: LayerParameters, gate: str, values: Sequence[float], *, sloped: bool = False) -> None:
    """Set a gate's biases, one value per block; ``sloped``: as they are after the multiplication by its slope."""
    cell, values = lstm.sizes.cell, _checked_biases(lstm, gate, values)
    start = cell.rows(lstm.sizes.hidden_size)[gate].start
    if cell.biases == "gates" and gate == "o":
        start -= lstm.sizes.hidden_size  # the bias vector has no entries for the cells, which stand before that gate
    rows = slice(start, start + len(values))
    weights = list(lstm.layer_parameters())
    if weights[0]["bias_ih"].is_meta:  # there are no numbers to set, and no slopes to read
        return
    for parameters, slopes in zip(weights, gate_slopes(lstm), strict=True):
        bias, slope = parameters["bias_ih"], slopes[gate] if sloped else 1.0
        bias[rows] = torch.tensor([value / slope for value in values], dtype=bias.dtype, device=bias.device)
        if "bias_hh" in parameters:
            parameters["bias_hh"][rows] = 0.0
