"""One plain recurrent net in NumPy, step by step: the definition of what laboratory/csrc computes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag_lab.competitors.topology import Method, RecurrentTopology

__all__ = ["Net"]

Array = NDArray[Any]


def _logistic(net: Array) -> tuple[Array, Array]:
    """Return y and dy/dnet, both from exp(-|net|): a saturated unit keeps a slope."""
    small = np.exp(-np.abs(net))
    y = np.where(net < 0, small, 1.0) / (1.0 + small)
    return y, small / np.square(1.0 + small)


class Net:
    """One net: weights, pending changes, state, traces."""

    def __init__(self, topology: RecurrentTopology, shapes: dict[str, tuple[int, ...]], method: Method, dtype: Any):
        self.topology, self.method, self.dtype = topology, method, dtype
        self.weights = {name: np.zeros(shape, dtype) for name, shape in shapes.items()}
        self.pending = {name: np.zeros(shape, dtype) for name, shape in shapes.items()}
        self.numbers = {name: np.zeros(s, dtype) for name, s in (topology.state_shapes | topology.trace_shapes).items()}
        self.record: list[tuple[Array, Array, Array]] = []  # of a step: source, slopes, errors of hidden units

    def reset(self) -> None:
        for value in self.numbers.values():
            value.fill(0.0)
        self.record.clear()

    def forward(self, x: Array) -> Array:
        """Reads x (I,); returns the activations of the output units (K,)."""
        n, w, bias = self.numbers, self.weights, np.ones(1 if self.topology.bias else 0, self.dtype)
        fed = n.get("answers", np.zeros(0, self.dtype))
        self.source = np.concatenate([x, n["state"], fed, bias])
        n["state"], self.slope = _logistic(self._recurrent() @ self.source)
        if self.topology.flat:
            return n["state"][: self.topology.output_size].copy()
        inputs = x if self.topology.reads_inputs else x[:0]
        self.seen = np.concatenate([n["state"], inputs, fed, bias])
        readout = [w["readout.weight"]] + ([w["readout.bias"][:, None]] if self.topology.bias else [])
        y, self.output_slope = _logistic(np.hstack(readout) @ self.seen)
        if self.topology.feedback:
            n["answers"] = y.copy()
        return y

    def follow(self) -> None:
        """RTRL: dh_k/dw_ij = h'_k (sum_l u_kl dh_l/dw_ij + [k = i] source_j)."""
        if self.method != "rtrl":
            return
        inputs, h = self.topology.input_size, self.topology.hidden_size
        traces = np.einsum("kl,lij->kij", self._recurrent()[:, inputs : inputs + h], self.numbers["traces"])
        traces[np.arange(h), np.arange(h)] += self.source
        self.numbers["traces"] = self.slope[:, None, None] * traces

    def learn(self, error: Array, at_ends: bool) -> None:
        """``error``: rate times (t - y) of the output units; zeros where there is no target."""
        arrays = self.pending if at_ends or self.method == "bptt" else self.weights
        if self.topology.flat:
            hidden_error = np.concatenate([error, np.zeros(self.topology.hidden_size - len(error), self.dtype)])
        else:
            error = error * self.output_slope
            hidden_error = error @ self.weights["readout.weight"][:, : self.topology.hidden_size]
        if self.method == "rtrl":
            self._change(arrays, np.einsum("k,kij->ij", hidden_error, self.numbers["traces"]))
        elif self.method == "elman":
            self._change(arrays, np.outer(hidden_error * self.slope, self.source))
        else:
            self.record.append((self.source, self.slope, hidden_error))
        if not self.topology.flat:
            change = np.outer(error, self.seen)
            width = arrays["readout.weight"].shape[1]
            arrays["readout.weight"] += change[:, :width]
            if self.topology.bias:
                arrays["readout.bias"] += change[:, width]

    def finish(self) -> None:
        """Ends a sequence: BPTT goes back through it, and pending changes are made."""
        inputs, h = self.topology.input_size, self.topology.hidden_size
        delta = np.zeros(h, self.dtype)
        for source, slope, hidden_error in reversed(self.record):
            delta = slope * (hidden_error + delta @ self._recurrent()[:, inputs : inputs + h])
            self._change(self.pending, np.outer(delta, source))
        for name, change in self.pending.items():
            self.weights[name] += change
            change.fill(0.0)

    def _recurrent(self) -> Array:
        """Return all weights of the recurrent units: columns [x, h, y fed back, 1]."""
        w = self.weights
        return np.hstack([w["weight_ih"], w["weight_hh"], *([w["bias"][:, None]] if self.topology.bias else [])])

    def _change(self, arrays: dict[str, Array], change: Array) -> None:
        inputs, recurrent = arrays["weight_ih"].shape[1], arrays["weight_hh"].shape[1]
        arrays["weight_ih"] += change[:, :inputs]
        arrays["weight_hh"] += change[:, inputs : inputs + recurrent]
        if self.topology.bias:
            arrays["bias"] += change[:, -1]
