"""The network by the CPU kernels and NumPy alone: a forecast need not wait for PyTorch, whose import takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag import _native
from longlag.ops.common_fields import COMMON_FIELDS
from longlag.ops.compiled_cells import compiled_cell
from longlag.pretrained.features import BASES
from longlag.pretrained.levels import LEVELS, MIDDLE
from longlag.pretrained.weights import Weights

__all__ = ["KernelNetwork"]

Array = NDArray[np.float32]
_ABSENT = 0  # the address of what there is none of


class KernelNetwork:
    """What ``ZeroShotNetwork`` computes, without gradients."""

    def __init__(self, weights: Weights) -> None:
        """Raises ImportError where the kernels do not know the cell."""
        settings = weights.settings
        if settings.cell.beyond(COMMON_FIELDS):
            raise ImportError(f"the CPU kernels do not compute {settings.cell.beyond(COMMON_FIELDS)}")
        self._weights = weights.arrays
        self._layers = [
            _Layer(weights, number, sizes.input_size, sizes.hidden_size)
            for number, sizes in enumerate(settings.layers())
        ]

    def read(self, inputs: NDArray[Any], lengths: NDArray[np.int64]) -> Array:
        """Return the states (B, S) after ``lengths`` (B,) steps, 1 or more, of inputs (B, T, F)."""
        inputs = inputs.astype(np.float32)
        samples, steps, features = inputs.shape
        last = inputs[np.arange(samples), lengths - 1]
        outputs, x = [last], inputs
        for number, layer in enumerate(self._layers):
            hidden = layer.hidden_size
            y, final = layer.run(x, lengths)
            outputs.append(final)
            if number + 1 < len(self._layers):
                x = np.empty((samples, steps, features + hidden), dtype=np.float32)
                x[..., :features] = inputs
                x[..., features:] = y.transpose(1, 0, 2)
        return np.concatenate(outputs, axis=-1)

    def answer(self, state: Array, questions: NDArray[Any], bases: NDArray[Any]) -> Array:
        """Return quantiles (n, H, Q) from states (n, S), questions (n, H, QUERY) and simple forecasts (n, H, BASES)."""
        weights, questions, bases = self._weights, questions.astype(np.float32), bases.astype(np.float32)
        read = state @ weights["state.weight"].T + weights["state.bias"]
        x: Array = _silu(read[:, None] + questions @ weights["question.weight"].T)
        x += _silu(x @ weights["inner.weight"].T + weights["inner.bias"])
        out = x @ weights["answer.weight"].T + weights["answer.bias"]
        shares = np.exp(out[..., :BASES] - out[..., :BASES].max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        rounds = np.exp(questions[..., BASES + 6, None])  # 1 + h / season
        size = np.sqrt(rounds)
        middle = (shares * bases).sum(-1, keepdims=True) + size * out[..., BASES, None]
        widths = size * _softplus(out[..., BASES + 1 :] - np.float32(1.0))
        answers = np.empty((*middle.shape[:-1], len(LEVELS)), dtype=np.float32)
        answers[..., :MIDDLE] = middle - widths[..., MIDDLE - 1 :: -1].cumsum(-1)[..., ::-1]
        answers[..., MIDDLE] = middle[..., 0]
        answers[..., MIDDLE + 1 :] = middle + widths[..., MIDDLE:].cumsum(-1)
        return answers


class _Layer:
    """One LSTM layer with its weights as the kernels read them."""

    def __init__(self, weights: Weights, number: int, inputs: int, hidden: int) -> None:
        self.hidden_size = hidden
        cell, arrays = weights.settings.cell, weights.arrays

        def array(name: str) -> Array | None:
            return arrays.get(f"lstms.{number}.{name}_l0")

        rows = cell.rows(hidden)
        bias, second = array("bias_ih"), array("bias_hh")
        if bias is not None and cell.biases == "gates":
            bias = _in_rows(bias, [rows[name] for name in cell.gates], cell.row_count(hidden))
        if bias is not None and second is not None:
            bias = bias + second
        parts = [array("weight_ih"), array("weight_hh"), bias]
        peepholes, logs = array("weight_peephole"), array("log_sharpness")
        if logs is not None:  # as nn/sharpness.py: a learned slope is a factor on the weights of a gate
            slopes = np.exp(logs)
            factors = np.ones(cell.row_count(hidden), dtype=np.float32)
            for name, slope in zip(cell.gates, slopes, strict=True):
                factors[rows[name]] = slope
            parts = [None if part is None else (factors * part.T).T for part in parts]
            peepholes = None if peepholes is None else slopes[:, None] * peepholes
        # The kernels are handed addresses: the arrays stay where they are.
        self._arrays = [None if part is None else np.ascontiguousarray(part) for part in (*parts, peepholes, None)]
        self._addresses = tuple(_ABSENT if one is None else one.ctypes.data for one in self._arrays)
        self._outputs, self._gates = cell.output_size(hidden), cell.gate_size(hidden)
        self._kernel = _native.Layer(
            cell=compiled_cell(cell),
            input_size=inputs,
            hidden_size=hidden,
            projection_size=0,
            recurrent_paths=True,
            peephole_paths=True,
        )

    def run(self, x: Array, lengths: NDArray[np.int64]) -> tuple[Array, Array]:
        """Return outputs (T, B, H), zero beyond a length, and those after the last steps (B, H), of x (B, T, I)."""
        samples, steps, _ = x.shape
        lengths = np.ascontiguousarray(lengths, dtype=np.int64)
        outputs = np.zeros((steps, samples, self._outputs), dtype=np.float32)
        # Outputs, cells and gates: zero before the first step, and those after the last.
        before, after = (
            [np.zeros((samples, width), dtype=np.float32) for width in (self._outputs, self.hidden_size, self._gates)]
            for _ in range(2)
        )
        sample, step, feature = (stride // x.itemsize for stride in x.strides)
        call = _native.BatchCall(
            lanes="units",
            threads=1,
            steps=steps,
            samples=samples,
            checkpoint_every=0,
            lengths=lengths.ctypes.data,
            inputs=(x.ctypes.data, step, sample, feature),
            weights=self._addresses,
            initial_state=tuple(part.ctypes.data for part in before),
            outputs=outputs.ctypes.data,
            tape=_ABSENT,
        )
        self._kernel.forward32(call, final_state=tuple(part.ctypes.data for part in after))
        return outputs, after[0]


def _in_rows(values: Array, rows: Sequence[slice], count: int) -> Array:
    """Values that belong to some rows one after the other, and 0 in all others; (count,)."""
    whole, first = np.zeros(count, dtype=np.float32), 0
    for part in rows:
        whole[part] = values[first : first + part.stop - part.start]
        first += part.stop - part.start
    return whole


def _silu(x: NDArray[Any]) -> Array:
    with np.errstate(over="ignore"):  # exp(-x) of a large negative x is infinite, and its share 0
        share: Array = np.divide(x, np.float32(1.0) + np.exp(-x), dtype=np.float32)
    return share


def _softplus(x: NDArray[Any]) -> Array:
    positive: Array = np.maximum(x, np.float32(0.0)) + np.log1p(np.exp(-np.abs(x)))
    return positive
