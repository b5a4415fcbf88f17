"""Who computes a setting's networks: the LSTM kernels, or those of plain recurrent nets and chunkers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.online import select as lstm
from longlag.online.initial import first_weights
from longlag.online.streams import Engine
from longlag.online.topology import Topology
from longlag_lab.competitors import select as recurrent
from longlag_lab.competitors.topology import ChunkerTopology, RecurrentTopology, uniform_weights
from longlag_lab.hochreiter1997.setting import AnyTopology, Setting

__all__ = ["engine", "weights"]


def engine(setting: Setting, topology: AnyTopology, count: int) -> Engine:
    """``count`` networks side by side in the lanes of vectors."""
    if isinstance(topology, Topology):
        return lstm.engine(topology, count, wide=setting.wide, side_by_side=True)
    return recurrent.engine(topology, count, method=setting.method, wide=setting.wide)


def weights(setting: Setting, topology: AnyTopology, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """First weights of one network; gate biases are set in the topology that the setting ends with."""
    if isinstance(topology, RecurrentTopology | ChunkerTopology):
        return uniform_weights(topology, rng, setting.interval)
    gates: dict[str, Any] = {}
    if topology == setting.topology:
        gates = {"i": setting.input_gate_bias, "o": setting.output_gate_bias}
    if not setting.late_biases:
        return first_weights(topology, rng, setting.interval, gates)
    first = first_weights(topology, rng, setting.interval, {})
    rows = topology.cell.rows(topology.hidden_size)
    for gate, biases in gates.items():
        if biases is not None:
            first["weight_ih"][rows[gate], -1] = biases
    return first
