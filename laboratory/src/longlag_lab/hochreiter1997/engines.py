"""The engine that computes a configuration's networks: LSTM's kernels, or those of recurrent nets and chunkers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.online import select as lstm
from longlag.online.init import initial_weights
from longlag.online.streams import Engine
from longlag.online.topology import Topology
from longlag_lab.competitors import select as recurrent
from longlag_lab.competitors.topology import ChunkerTopology, RecurrentTopology, uniform_weights
from longlag_lab.hochreiter1997.config import AnyTopology, TrialConfig

__all__ = ["engine", "weights"]


def engine(config: TrialConfig, topology: AnyTopology, count: int) -> Engine:
    """Return an engine of ``count`` networks, side by side in the lanes of vectors."""
    if isinstance(topology, Topology):
        return lstm.engine(topology, count, wide=config.wide, side_by_side=True)
    return recurrent.engine(topology, count, method=config.method, wide=config.wide)


def weights(config: TrialConfig, topology: AnyTopology, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Return the first weights of one network. Gate biases are set only in the topology that the trial ends with."""
    if isinstance(topology, RecurrentTopology | ChunkerTopology):
        return uniform_weights(topology, rng, config.interval)
    gates: dict[str, Any] = {}
    if topology == config.topology:
        gates = {"i": config.input_gate_bias, "o": config.output_gate_bias}
    if not config.delayed_biases:
        return initial_weights(topology, rng, config.interval, gates)
    first = initial_weights(topology, rng, config.interval, {})
    rows = topology.cell.rows(topology.hidden_size)
    for gate, biases in gates.items():
        if biases is not None:
            first["weight_ih"][rows[gate], -1] = biases
    return first
