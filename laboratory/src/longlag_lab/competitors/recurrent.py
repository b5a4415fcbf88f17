"""Plain recurrent nets that learn online, each from its own stream, in the kernels of csrc/baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from longlag import _native
from longlag.errors import InputError
from longlag.online.streams import Answers, Numbers, Stream, Update
from longlag.online.table import address, table_of
from longlag_lab.competitors.reference import check_reading
from longlag_lab.competitors.topology import ChunkerTopology, Method, RecurrentTopology

__all__ = ["RecurrentNetworks", "RecurrentTopology"]

_OF_A_NET = ("weight_ih", "weight_hh", "bias", "readout.weight", "readout.bias", "state", "answers", "traces")
_NAMES = (*_OF_A_NET, *(f"chunker.{name}" for name in _OF_A_NET))


class RecurrentNetworks:
    """``count`` networks with weights of their own, side by side in vectors. An ``Engine`` of longlag.online.

    All numbers start at zero; ``put`` sets them. A network computes the same bits whatever the others do. Activations
    and traces are zero at the start of each sequence, as for LSTM; no output is ever replaced by its target (no teacher
    forcing).

    Parameters
    ----------
    topology : RecurrentTopology
    count : int
    method : {"rtrl", "bptt", "elman"}
        Exact real-time recurrent learning: weights change at every step with an error. Back-propagation through the
        whole sequence: weights change at its end. Elman's procedure: what the hidden units did a step before is an
        input like any other, so errors do not go back in time; weights change at every step.
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
        self.topology, self.count, self.method = topology, count, method
        self.dtype: Any = np.dtype(np.float64 if wide else np.float32)
        net = topology.net if isinstance(topology, ChunkerTopology) else topology
        bank = _native.RecurrentBank64 if wide else _native.RecurrentBank32
        self._bank = bank(
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
        )
        self.shapes: Mapping[str, tuple[int, ...]] = (
            topology.weight_shapes | topology.state_shapes | (topology.trace_shapes if method == "rtrl" else {})
        )
        if net.feedback:
            self.shapes = topology.weight_shapes | topology.state_shapes
        self._rates = np.zeros(count, dtype=self.dtype)

    def memory(self) -> int:
        """Bytes that the networks take, idle lanes included; not the record that BPTT keeps of a sequence."""
        return int(self._bank.elements()) * int(self.dtype.itemsize)

    def put(self, network: int | None, numbers: Numbers, *, waiting: bool = False) -> None:
        """Sets the numbers that are named, of one network or (None) of all. The others stay.

        ``waiting``: instead of weights, the changes of them that have added up since the sequence began.
        """
        arrays = {}
        for name, array in numbers.items():
            if name not in self.shapes or array.shape != self.shapes[name]:
                raise InputError(f"{name} has shape {array.shape}; expected {self.shapes.get(name, 'no such name')}")
            arrays[name] = np.ascontiguousarray(array, dtype=self.dtype)
        self._bank.put(-1 if network is None else network, [address(arrays.get(name)) for name in _NAMES], waiting)

    def take(
        self, network: int, names: Sequence[str] | None = None, *, waiting: bool = False, kept: bool = False
    ) -> dict[str, NDArray[Any]]:
        """A copy of a network's numbers; ``waiting``, ``kept`` as in ``longlag.online.networks.Networks.take``."""
        names = list(self.shapes) if names is None else list(names)
        arrays = {name: np.zeros(self.shapes[name], dtype=self.dtype) for name in names}
        self._bank.take(network, [address(arrays.get(name)) for name in _NAMES], waiting, kept)
        return arrays

    def keep(self) -> None:
        """Remembers all numbers as they are now, for ``take(kept=True)``."""
        self._bank.keep()

    def read(
        self,
        streams: Sequence[Stream],
        *,
        learning_rate: float | NDArray[Any] = 0.0,
        learn: bool = True,
        update: Update = "step",
        every_step: bool = True,
        outputs: bool = False,
        peek: bool = False,
        threads: int = 1,
    ) -> list[Answers]:
        """As ``longlag.online.networks.Networks.read``. BPTT changes weights at the ends of sequences, whatever
        ``update`` says; with ``update="sequence"`` the others do as well."""
        check_reading(self.topology, self.method, streams, learn, every_step)
        table = table_of(
            streams,
            self.count,
            dtype=self.dtype,
            symbols=self.topology.symbols,
            output_size=self.topology.output_size,
            every_step=every_step,
            outputs=outputs,
        )
        self._rates[:] = learning_rate
        self._bank.read(
            streams=table.rows.ctypes.data,
            rates=self._rates.ctypes.data,
            every_step=every_step,
            learns=learn,
            at_ends=update == "sequence",
            targets=table.asks,
            peeks=peek,
            threads=threads,
        )
        return table.answers
