"""Any number of nets of one topology that learn online, each from its own stream, in the kernels of csrc/online."""

from __future__ import annotations

from typing import Literal

import numpy as np

from longlag import _native
from longlag.errors import InputError
from longlag.online.bank import NetworkBank
from longlag.online.topology import Topology
from longlag.ops.native import compiled_cell

__all__ = ["Lanes", "Networks", "choose_lanes"]

Lanes = Literal["networks", "units"]
"""What fills the lanes of a vector: one unit of many networks, or many units of one."""


def choose_lanes(topology: Topology, count: int, wide: bool) -> Lanes:
    """Choose networks in lanes where more lanes would be filled that way."""
    width = _native.lanes(wide)
    blocks = topology.cell.blocks(topology.hidden_size)
    networks = count / (-(-count // width) * width)
    units = blocks / (-(-max(blocks, 1) // width) * width)
    return "networks" if networks > units else "units"


class Networks(NetworkBank):
    """``count`` networks of one topology in float32, or in float64 if ``wide``. Memory is O(count W).

    Raises
    ------
    InputError
        If an alphabet times the cells is too large for the kernels.
    """

    def __init__(self, topology: Topology, count: int, *, wide: bool = False, lanes: Lanes | None = None) -> None:
        self.topology = topology
        self.lanes: Lanes = choose_lanes(topology, count, wide) if lanes is None else lanes
        width = _native.lanes(wide) if self.lanes == "networks" else 1
        largest = max(topology.cell.row_count(topology.hidden_size) + topology.output_size, topology.hidden_size * 3)
        if topology.symbols and topology.input_size * largest * width >= 2**31:  # places are whole numbers of 32 bits
            raise InputError(f"an alphabet of {topology.input_size} is too large for {topology.hidden_size} cells")
        bank = _native.Bank64 if wide else _native.Bank32
        super().__init__(
            bank(
                cell=compiled_cell(topology.cell),
                input_size=topology.input_size,
                hidden_size=topology.hidden_size,
                output_size=topology.output_size,
                symbols=topology.symbols,
                reads_inputs=topology.reads == "cells+inputs",
                bias=topology.bias,
                gate_bias_only=topology.cell.biases == "gates",
                output_bias=topology.output_bias,
                output_activation=topology.output_activation,
                squared=topology.loss == "squared",
                networks=count,
                side_by_side=self.lanes == "networks",
            ),
            count,
            dtype=np.float64 if wide else np.float32,
            shapes=topology.weight_shapes | topology.state_shapes,
            symbols=topology.symbols,
            output_size=topology.output_size,
        )
