"""Zero-shot forecasts: quantiles of what comes next in series of numbers, from the weights in the package."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longlag.checks import one_of, whole_number
from longlag.errors import InputError
from longlag.pretrained.far import extended, reach
from longlag.pretrained.features import past_of, queries
from longlag.pretrained.levels import LEVELS, between_levels
from longlag.pretrained.weights import Weights, packaged_weights

__all__ = ["SEEN", "Network", "Scale", "ZeroShotModel", "network_of", "packaged_model", "zero_shot"]

Array = NDArray[np.float64]
Seasons = tuple[int, int]
Scale = Literal["values", "logarithms", "both"]

SEEN = 1100
"""Values at the end of a series that are read, unless two of its longest seasons are more."""
_CELLS = 2**16  # steps of all series of a batch together
_MOST_ANSWERS = 2**14  # of a batch: series times steps ahead
_LARGEST = float(np.finfo(np.float64).max)
_LEAST_SHARE = 0.02  # of its median, that the least value of a series with logarithms is
_HIGHEST = 3.0  # in logarithms above the largest value, that a forecast is


class Network(Protocol):
    """A network that answers for arrays, as ``KernelNetwork`` does."""

    def read(self, inputs: Array, lengths: NDArray[np.int64]) -> NDArray[Any]:
        """Return the states (B, S) after ``lengths`` (B,) steps of inputs (B, T, F)."""

    def answer(self, state: NDArray[Any], questions: Array, bases: Array) -> NDArray[Any]:
        """Return quantiles (n, H, Q) from states (n, S), questions (n, H, QUERY) and simple forecasts (n, H, BASES)."""


def zero_shot(
    series: Sequence[ArrayLike],
    horizon: int,
    seasons: Seasons | Sequence[Seasons],
    levels: Sequence[float] = LEVELS,
) -> Array:
    """Quantiles of the next values of each series.

    Parameters
    ----------
    series : (T_i,) each, in time order. A missing value is NaN.
    horizon : steps ahead, H.
    seasons : (inner, outer) of all series, or of each: the steps after which a series repeats itself, equal where there
        is one season; (1, 1) for none.
    levels : probabilities of the quantiles, rising.

    Returns
    -------
    (n, H, levels). A series that never changed is forecast to stay; one that was never negative is not forecast to be.

    Raises
    ------
    InputError
        If a series holds no value, or one that is no number or infinite, naming the series and step.
    CheckpointError
        If the weights are missing or damaged.
    """
    return packaged_model().quantiles(series, horizon, seasons, levels)


@functools.cache
def packaged_model() -> ZeroShotModel:
    """The model with the weights of the package."""
    return ZeroShotModel(network_of(packaged_weights()))


class ZeroShotModel:
    """Forecasts by a network.

    Parameters
    ----------
    network : Network
    scale : whether positive series are read as values, as logarithms, or in both ways, whose quantiles are averaged
    """

    def __init__(self, network: Network, scale: Scale = "values") -> None:
        one_of("scale", scale, ("values", "logarithms", "both"))
        self._network, self._scale = network, scale

    def quantiles(
        self,
        series: Sequence[ArrayLike],
        horizon: int,
        seasons: Seasons | Sequence[Seasons],
        levels: Sequence[float] = LEVELS,
    ) -> Array:
        """As ``zero_shot``."""
        horizon = whole_number("horizon", horizon, 1)
        each = _each(seasons, len(series))
        values = [_read(one, number, outer) for number, (one, (_, outer)) in enumerate(zip(series, each, strict=True))]
        answers = np.empty((len(series), horizon, len(levels)))
        shares = between_levels(levels)
        logarithmic = [self._scale != "values" and _has_logarithms(one) for one in values]
        if not all(logarithmic) or self._scale == "both":
            chosen = [k for k, taken in enumerate(logarithmic) if not taken or self._scale == "both"]
            answers[chosen] = self._answers([values[k] for k in chosen], horizon, [each[k] for k in chosen], shares)
        if any(logarithmic):
            chosen = [k for k, taken in enumerate(logarithmic) if taken]
            seen = [np.log(values[k]) for k in chosen]
            highest = np.array([np.nanmax(one) for one in seen]) + _HIGHEST
            found = self._answers(seen, horizon, [each[k] for k in chosen], shares)
            found = np.exp(np.minimum(found, highest[:, None, None]))
            answers[chosen] = found if self._scale == "logarithms" else (answers[chosen] + found) / 2
        lowest = np.array([0.0 if np.nanmin(one) >= 0 else -_LARGEST for one in values])
        return np.clip(answers, lowest[:, None, None], _LARGEST)

    def _answers(self, series: Sequence[Array], horizon: int, seasons: Sequence[Seasons], shares: Array) -> Array:
        answers = np.empty((len(series), horizon, shares.shape[1]))
        for chosen in batches([len(one) for one in series], seasons, horizon):
            answers[chosen] = self._batch([series[k] for k in chosen], horizon, seasons[chosen[0]], shares)
        return answers

    def _batch(self, series: Sequence[Array], horizon: int, seasons: Seasons, shares: Array) -> Array:
        """Answers for series of the same seasons and about the same length, side by side."""
        lengths = np.array([len(one) for one in series])
        values = np.empty((len(series), int(lengths.max())))
        for row, one in zip(values, series, strict=True):
            row[: len(one)] = one
            row[len(one) :] = one[-1]
        # A power of two changes no digit, and what the features multiply and add stays far from the ends of float64.
        exponents = np.frexp(np.nanmax(np.abs(values), axis=1))[1]
        past = past_of(np.ldexp(values, -exponents[:, None]), seasons)
        rows, last = np.arange(len(series)), lengths - 1
        questions, bases = queries(past, rows, last, min(horizon, reach(seasons)))
        found = self._network.answer(self._network.read(past.inputs, lengths), questions, bases)
        unit, level = past.scale[rows, last], past.level[rows, last]
        quantiles = extended(found.astype(np.float64), seasons, horizon)
        answers = (quantiles @ shares) * unit[:, None, None] + level[:, None, None]
        constant = np.nanmax(values, axis=1) == np.nanmin(values, axis=1)
        answers[constant] = past.values[constant, 0, None, None]
        with np.errstate(over="ignore"):
            scaled: Array = np.ldexp(answers, exponents[:, None, None])
        return scaled


def network_of(weights: Weights) -> Network:
    """The network by the CPU kernels; by PyTorch where they are not built."""
    try:
        from longlag.pretrained.kernels import KernelNetwork

        return KernelNetwork(weights)
    except ImportError:
        from longlag.pretrained.torch_network import TorchNetwork, torch_network

        return TorchNetwork(torch_network(weights))


def batches(lengths: Sequence[int], seasons: Sequence[Seasons], horizon: int) -> Iterator[list[int]]:
    """Numbers of series of equal seasons and similar length, as many as fit into the memory of a batch."""
    order = sorted(range(len(lengths)), key=lambda number: (seasons[number], lengths[number]))
    batch: list[int] = []
    for number in order:
        if batch and (
            seasons[number] != seasons[batch[0]]
            or (len(batch) + 1) * lengths[number] > _CELLS
            or (len(batch) + 1) * horizon > _MOST_ANSWERS
        ):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _each(seasons: Any, count: int) -> list[Seasons]:
    """Seasons of each series. InputError if they are none."""
    if not len(seasons) or not isinstance(seasons[0], (tuple, list)):
        seasons = [seasons] * count
    if len(seasons) != count:
        raise InputError(f"there are seasons for {len(seasons)} series; expected {count}")
    each = []
    for one in seasons:
        if len(one) != 2:
            raise InputError(
                f"seasons is {one!r}; expected two whole numbers, which are equal where there is one season"
            )
        inner, outer = (whole_number("season", season, 1) for season in one)
        if outer < inner:
            raise InputError(f"seasons is {one!r}; expected the shorter one first")
        each.append((inner, outer))
    return each


def _read(values: ArrayLike, number: int, outer: int) -> Array:
    """The part of a series (T,) that is read: from its first value on, and no more than the network has learned of."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biufO":
            raise TypeError(f"dtype {array.dtype}")
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"series {number} holds something that is no number ({error}); expected numbers") from error
    if array.ndim != 1:
        raise InputError(f"series {number} has shape {array.shape}; expected (steps,)")
    if np.isinf(array).any():
        raise InputError(f"series {number} is infinite at step {int(np.argmax(np.isinf(array)))}; expected numbers")
    part = array[-max(SEEN, 2 * outer) :]
    if np.isnan(part).all():  # a gap of thousands of steps, before which there may be values
        part = array[: len(array) - int(np.argmax(np.isfinite(array[::-1])))][-1:] if np.isfinite(array).any() else part
    known = np.isfinite(part)
    if not known.any():
        raise InputError(f"series {number} has no value in {len(array)} steps; expected at least one")
    return part[int(np.argmax(known)) :]


def _has_logarithms(values: Array) -> bool:
    """Whether all values are positive, and none so near to zero that logarithms explode."""
    low = float(np.nanmin(values))
    return low > 0 and low > _LEAST_SHARE * float(np.nanmedian(values))
