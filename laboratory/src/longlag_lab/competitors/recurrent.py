"""Plain recurrent nets that learn online, each from its own stream, in the kernels of laboratory/csrc."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np

from longlag.errors import InputError
from longlag.online.bank import NetworkBank
from longlag.online.streams import DEFAULT_OPTIONS, Answers, ReadOptions, Stream
from longlag_lab import _native
from longlag_lab.competitors.reference import check_reading
from longlag_lab.competitors.topology import ChunkerTopology, Method, RecurrentTopology

__all__ = ["RecurrentNetworks", "RecurrentTopology"]


class RecurrentNetworks(NetworkBank):
    """``count`` networks with weights of their own, side by side in vectors.

    Activations and traces are zero at the start of each sequence, as for LSTM. No output is ever replaced by its target
    (no teacher forcing). ``memory`` leaves out the record that BPTT keeps of a sequence.

    Parameters
    ----------
    topology : RecurrentTopology
    count : int
    method : {"rtrl", "bptt", "elman"}
        Exact real-time recurrent learning: weights change at every step with an error. Back-propagation through the
        whole sequence: weights change at its end. Elman's procedure: the hidden units' last activations are inputs
        like any other, so errors do not go back in time; weights change at every step.
    wide : bool
        float64
    """

    def __init__(
        self,
        topology: RecurrentTopology | ChunkerTopology,
        count: int,
        *,
        method: Method = "rtrl",
        wide: bool = False,
    ) -> None:
        if method not in get_args(Method):
            raise InputError(f"method is {method!r}; expected one of {', '.join(get_args(Method))}")
        self.topology, self.method = topology, method
        net = topology.net if isinstance(topology, ChunkerTopology) else topology
        shapes = topology.weight_shapes | topology.state_shapes
        if method == "rtrl" and not net.feedback:
            shapes = shapes | topology.trace_shapes
        bank = _native.RecurrentBank64 if wide else _native.RecurrentBank32
        super().__init__(
            bank(
                input_size=net.input_size,
                hidden_size=net.hidden_size,
                output_size=net.output_size,
                symbols=net.symbols,
                flat=net.flat,
                reads_inputs=net.reads_inputs,
                bias=net.bias,
                feedback=net.feedback,
                method=method,
                chunker=isinstance(topology, ChunkerTopology),
                threshold=topology.threshold if isinstance(topology, ChunkerTopology) else 0.0,
                networks=count,
            ),
            count,
            dtype=np.float64 if wide else np.float32,
            shapes=shapes,
            symbols=topology.symbols,
            output_size=topology.output_size,
        )

    def read(self, streams: Sequence[Stream], options: ReadOptions = DEFAULT_OPTIONS) -> list[Answers]:
        """As ``Engine.read``. BPTT changes weights at the ends of sequences, whatever ``update`` says."""
        check_reading(self.topology, self.method, streams, options)
        return super().read(streams, options)
