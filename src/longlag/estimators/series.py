"""A series as the forecaster reads it: checked, standardised, with its past beside each value, cut into windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from longlag.data.scale import Standardizer
from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError
from longlag.nn import Network

__all__ = ["LEAST_DEVIATION", "interval_levels", "lagged", "read_series", "scaled_series", "start_linear", "windows"]

Array = NDArray[np.float64]
LEAST_DEVIATION = 1e-3
"""GaussianNLL's, and so that of every sampled value: inputs that vary less tell nothing while the network runs freely,
and a weight that magnified them (two series of which one is the other's past) would make it grow without bound."""


def read_series(values: ArrayLike, what: str, *, largest: float = np.inf) -> Array:
    """Read (T,) or (T, K) numbers as (T, K) float64.

    Raises
    ------
    InputError
        If a value is no finite number or larger than ``largest``, naming its step. ``what`` begins the sentence.
    """
    try:
        numbers = np.asarray(values)
        if numbers.dtype.kind not in "biufO" or _holds_text(numbers):
            raise TypeError(f"dtype {numbers.dtype}")  # text that looks like a number is none, a complex number is two
        array = numbers.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} holds something that is not a number ({error}); expected numbers") from error
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.shape[1]:
        raise InputError(f"{what} has shape {np.shape(values)}; expected (steps,) or (steps, values)")
    bad = ~np.isfinite(array)
    if bad.any():
        step, column = np.argwhere(bad)[0]
        raise InputError(f"{what} is {array[step, column]} at step {step}, column {column}; expected finite numbers")
    large = np.abs(array) > largest
    if large.any():
        step, column = np.argwhere(large)[0]
        raise InputError(
            f"{what} is {array[step, column]} at step {step}, column {column}; expected at most {largest:g} in size"
        )
    return array


def _holds_text(array: NDArray[Any]) -> bool:
    return array.dtype == object and any(isinstance(value, str) for value in array.flat)


def scaled_series(scale: Standardizer, values: Array, what: str, kind: torch.dtype) -> Tensor:
    """Standardised, float64. InputError names a step too large for ``kind``, the network's numbers."""
    with np.errstate(over="ignore"):
        scaled = scale.transform(values)
    large = ~(np.abs(scaled) <= torch.finfo(kind).max)
    if large.any():
        step, column = np.argwhere(large)[0]
        raise InputError(f"{what} is {values[step, column]} at step {step}, too large for {kind} once standardised")
    return torch.from_numpy(scaled)


def lagged(values: Tensor, lags: int, beside: Tensor | None) -> Tensor:
    """(T, K) -> (T - lags, lags * K + E): row r holds values r .. r+lags-1, oldest first, and what is known beside."""
    rows = values.unfold(0, lags, 1)[: len(values) - lags].transpose(1, 2).flatten(1)
    return rows if beside is None else torch.cat([rows, beside], dim=1)


def windows(inputs: Tensor, answers: Tensor, length: int) -> SequenceBatch:
    """Overlapping sequences of ``length`` rows that cover every row; in long series they start a quarter apart."""
    stride = 1 if len(inputs) <= 1000 else max(1, length // 4)
    starts = sorted({*range(0, len(inputs) - length + 1, stride), len(inputs) - length})
    return SequenceBatch.every_step(
        [inputs[start : start + length] for start in starts], [answers[start : start + length] for start in starts]
    )


def start_linear(network: Network, coefficients: Array, deviation: Array) -> None:
    """Output units begin as the linear autoregression: its weights on the inputs, small ones on the cells.

    ``coefficients`` (inputs + 1, K), the last row the intercepts; ``deviation`` (K,) of its residuals.
    """
    weight, bias = network.readout.weight, network.readout.bias
    cells, targets = network.lstm.output_size, len(deviation)
    start = torch.from_numpy(coefficients).to(weight.dtype)
    weight *= 0.1
    weight[:, cells:] = 0.0
    weight[:targets, cells:] = start[:-1].T
    bias[:targets] = start[-1]
    bias[targets:] = torch.from_numpy(np.log(np.maximum(deviation, LEAST_DEVIATION))).to(bias.dtype)


def interval_levels(coverage: float) -> tuple[float, float]:
    """The quantiles between which a central interval of this probability lies."""
    if not 0 < coverage < 1:
        raise InputError(f"coverage is {coverage!r}; expected a probability between 0 and 1")
    return (1 - coverage) / 2, (1 + coverage) / 2
