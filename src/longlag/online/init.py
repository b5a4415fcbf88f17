"""Initial weights of an online learner: uniform in an interval, with chosen gate biases (1997 paper, Tables 10, 11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.checks import is_number
from longlag.errors import InputError
from longlag.online.topology import Topology

__all__ = ["initial_weights"]

_GATES = {"i": "input", "f": "forget", "o": "output"}


def initial_weights(
    topology: Topology, rng: np.random.Generator, interval: float, gate_biases: Mapping[str, Any]
) -> dict[str, NDArray[Any]]:
    """Return weights from U(-interval, interval).

    ``gate_biases``: by gate ("i", "f", "o") a bias for each block; None: random like the other weights.

    Raises
    ------
    InputError
        If the net has no such gate, or no bias there, or the biases are not one finite number for each block.
    """
    weights = {name: rng.uniform(-interval, interval, shape) for name, shape in topology.weight_shapes.items()}
    cell, blocks = topology.cell, topology.cell.blocks(topology.hidden_size)
    for gate, values in gate_biases.items():
        if values is None:
            continue
        if gate not in cell.gates or not topology.bias:
            raise InputError(f"{_GATES[gate]}_gate_bias is given, but the net has no {_GATES[gate]} gate with a bias")
        values = values.tolist() if isinstance(values, np.ndarray) else values
        if not isinstance(values, Sequence) or not all(is_number(value) for value in values):
            raise InputError(
                f"{_GATES[gate]}_gate_bias is {values!r}; expected finite numbers, one for each of {blocks} blocks"
            )
        if len(values) != blocks:
            raise InputError(
                f"{_GATES[gate]}_gate_bias has {len(values)} values; expected one for each of {blocks} blocks"
            )
        start = cell.rows(topology.hidden_size)[gate].start
        for block, value in enumerate(values):
            weights["bias"][topology.biased_rows.index(start + block)] = value
    return weights
