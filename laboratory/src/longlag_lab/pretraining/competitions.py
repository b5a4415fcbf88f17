"""A look at real series: the last horizon of the training parts of M3 and Tourism; their test parts are not read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longlag.pretrained.network import ZeroShotNetwork
from longlag.pretrained.torch_network import TorchNetwork
from longlag.pretrained.zero_shot import ZeroShotModel
from longlag_lab.benchmarks.forecast_competitions import Group
from longlag_lab.benchmarks.forecast_scores import Forecasts, joined, naive_scale, score, summary

__all__ = ["score_groups", "training_parts"]

QUANTILES = (0.05, 0.5, 0.95)


def training_parts(groups: Sequence[Group]) -> list[Group]:
    """Return groups whose test part is the last horizon of the training part, of the series that are long enough."""
    parts = []
    for group in groups:
        least = group.horizon + max(2 * group.season, 6)
        long = [series for series in group.training if len(series) >= least]
        if long:
            training = [series[: -group.horizon] for series in long]
            test = np.stack([series[-group.horizon :] for series in long])
            parts.append(Group(group.competition, group.frequency, group.season, training, test))
    return parts


def score_groups(network: ZeroShotNetwork, groups: Sequence[Group]) -> dict[str, Any]:
    """Return the scores of a network's forecasts of each group, and over all of a competition."""
    model = ZeroShotModel(TorchNetwork(network))
    scores: dict[str, Any] = {}
    terms: dict[str, list[Any]] = {}
    for group in groups:
        quantiles = model.quantiles(group.training, group.horizon, (group.season, group.season), QUANTILES)
        low, middle, high = np.moveaxis(quantiles, -1, 0)
        scales = np.array([naive_scale(series, group.season) for series in group.training])
        one = score(group.test, scales, Forecasts(middle, low, high, 0.0))
        scores[f"{group.competition} {group.frequency}"] = _brief(summary(one))
        terms.setdefault(group.competition, []).append(one)
    return scores | {f"{name} all": _brief(summary(joined(some))) for name, some in terms.items()}


def _brief(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: scores[name] for name in ("smape", "mase", "coverage")}
