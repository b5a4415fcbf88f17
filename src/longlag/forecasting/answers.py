"""Answers: the networks' quantiles and the simple methods' forecasts, joined, and calibrated."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController
from torch import Tensor

from longlag.forecasting.examples import WHOLE, Seen, pasts, upside_down
from longlag.forecasting.features import Design
from longlag.forecasting.intervals import QUANTILES
from longlag.forecasting.rolling import simple_forecast
from longlag.forecasting.view import SeriesData, View
from longlag.nn.network import Network

__all__ = ["LSTM", "Answers", "answers_at", "extended", "network_quantiles"]

Array = NDArray[np.float64]

LSTM = "LSTM"
"""The networks' name among the methods."""
_STEPS_AT_ONCE = 1 << 16  # of all sequences together
_MEDIAN = len(QUANTILES) // 2


@dataclass(frozen=True, eq=False)
class Answers:
    """Forecasts in the unit of each series; (n, H) each.

    centre : the answer. quantiles : (n, H, Q), around it. methods : the forecasts that it is made of, by name.
    """

    centre: Array
    quantiles: Array
    methods: Mapping[str, Array]


def answers_at(
    networks: Sequence[Network],
    weights: Mapping[str, float],
    views: Sequence[View],
    data: Sequence[SeriesData],
    seen: Sequence[Seen],
    origins: Sequence[int],
    design: Design,
    *,
    also: Sequence[str] = (),
) -> Answers:
    """Forecasts of each series from its origin.

    Parameters
    ----------
    weights : name -> share of the answer
    views, data, seen, origins : one for each forecast
    also : methods that are asked though they have no share
    """
    quantiles = network_quantiles(networks, seen, origins, design)
    methods = {LSTM: quantiles[..., _MEDIAN]}
    with _blas("scipy.linalg" in sys.modules).limit(limits=1):  # of small matrices, threads would only wait
        for name in dict.fromkeys([*weights, *also]):
            if name != LSTM:
                rows = [
                    simple_forecast(name, view.adjusted(one.until(origin)), view.unit, design)
                    for view, one, origin in zip(views, data, origins, strict=True)
                ]
                methods[name] = np.stack(rows)
    centre = sum((share * methods[name] for name, share in weights.items()), np.zeros_like(methods[LSTM]))
    return Answers(centre, quantiles + (centre - methods[LSTM])[..., None], methods)


@cache
def _blas(scipy_is_loaded: bool) -> ThreadpoolController:
    """The libraries for matrices that this process has loaded, which takes longer to find out than to forecast."""
    return ThreadpoolController().select(user_api="blas")


@torch.no_grad()
def network_quantiles(
    networks: Sequence[Network], seen: Sequence[Seen], origins: Sequence[int], design: Design
) -> Array:
    """(n, H, Q) quantiles in the unit, in order: the mean over the networks."""
    kind = next(networks[0].parameters()).dtype
    base = np.stack([one.base[origin - 1] for one, origin in zip(seen, origins, strict=True)])
    total, start = np.zeros((len(seen), design.horizon, len(QUANTILES))), 0
    while start < len(seen):
        stop = start + max(1, _STEPS_AT_ONCE // max(origins[start], 1))
        inputs, lengths = pasts(seen[start:stop], origins[start:stop], kind)
        last = lengths - 1, torch.arange(len(lengths), device="cpu")
        whole = torch.tensor([origin <= WHOLE for origin in origins[start:stop]], device="cpu")
        for network in networks:
            answers = _in_order(network(inputs, lengths=lengths)[0][last], design)
            if bool(whole.any()):  # what was learned upside down too is asked upside down too
                turned = _in_order(network(upside_down(inputs, design.plain), lengths=lengths)[0][last], design)
                answers = torch.where(whole[:, None, None], (answers - turned.flip(-1)) / 2, answers)
            total[start:stop] += answers.numpy() / len(networks)
        start = stop
    quantiles: Array = total + base[..., None]
    return quantiles


def _in_order(outputs: Tensor, design: Design) -> Tensor:
    """Outputs (n, H Q) as quantiles (n, H, Q) that do not cross."""
    answers: Tensor = outputs.double().unflatten(-1, (design.horizon, len(QUANTILES))).sort(dim=-1).values
    return answers


def extended(paths: Array, horizon: int, design: Design) -> Array:
    """(n, horizon, ...) paths in the unit beyond the H steps (n, H, ...) that are answered.

    The last whole season goes on, or the last step where there is none; distances to the median are those of the last
    step, and grow as the square root of the steps.
    """
    steps = paths.shape[1]
    if horizon <= steps:
        return paths[:, :horizon]
    whole = max((season * (steps // season) for season in design.seasons if 1 < season <= steps), default=1)
    ahead = np.arange(steps, horizon)
    source = ahead - whole * -(-(ahead - steps + 1) // whole)
    beyond = paths[:, source]
    if paths.ndim == 3:
        distances = paths[:, -1:] - paths[:, -1:, _MEDIAN, None]
        beyond = beyond[..., _MEDIAN, None] + distances * np.sqrt((ahead + 1.0) / steps)[:, None]
    return np.concatenate([paths, beyond], axis=1)
