"""Batches: synthetic series of one frequency, the steps after which is asked, and what follows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longlag.pretrained.features import Past, past_of, queries
from longlag.synthetic.prior import FREQUENCIES, Frequency, Prior
from longlag_lab.pretraining.settings import PretrainingSettings

__all__ = ["Batch", "draw_batch", "training_batch"]

FIRST = 4
"""The first step after which is asked; before it there is nothing to forecast from."""
FEWEST = 4
"""Series that a batch has at least."""

_OTHERS = {
    "weekly": 0.16,
    "daily": 0.13,
    "days of years": 0.06,
    "business days": 0.07,
    "hourly": 0.14,
    "hours of a day": 0.08,
    "half-hourly": 0.08,
    "none": 0.16,
    "another season": 0.12,
}
"""How the groups that are not of months, quarters or years share out the other frequencies."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What the network reads (T, B, I), after which steps of which rows (n,) is asked what (n, H, ...), and the truth.

    targets : (n, H), relative to the level of the step and in its unit. weights : (n, H), 0 where there is no target.
    """

    inputs: Tensor
    steps: Tensor
    rows: Tensor
    questions: Tensor
    bases: Tensor
    targets: Tensor
    weights: Tensor


def training_batch(settings: PretrainingSettings, update: int, group: int) -> Batch:
    """Return a batch of an update: the same one whenever it is asked for."""
    rng = np.random.default_rng([settings.seed, update, group])
    frequency = FREQUENCIES[_frequency(rng, update, group)]
    return draw_batch(rng, settings.prior(), frequency, settings.values, settings.answers)


def draw_batch(rng: np.random.Generator, prior: Prior, frequency: Frequency, values: int, answers: int) -> Batch:
    """Return a batch of series of one frequency and of one length, asked after some steps for some horizon."""
    shortest, longest = frequency.steps
    length = int(np.exp(rng.uniform(np.log(shortest), np.log(longest + 1))))
    horizon = int(rng.integers(frequency.horizon[0], frequency.horizon[1] + 1))
    lengths = frequency.seasons or (int(rng.integers(2, 31)),)
    seasons = (lengths[0], lengths[-1])
    number = max(FEWEST, values // length)
    past = past_of(prior.draw(rng, number, length, frequency, lengths), seasons)
    possible = length - FIRST - 1
    asked = FIRST + np.sort(rng.permutation(possible)[: max(1, answers // (number * horizon))])
    rows, steps = np.repeat(np.arange(number), len(asked)), np.tile(asked, number)
    questions, bases = queries(past, rows, steps, horizon)
    targets, weights = _targets(past, rows, steps, horizon)
    return Batch(
        _tensor(past.inputs.transpose(1, 0, 2)),
        torch.as_tensor(steps),
        torch.as_tensor(rows),
        _tensor(questions),
        _tensor(bases),
        _tensor(targets),
        _tensor(weights),
    )


def _frequency(rng: np.random.Generator, update: int, group: int) -> str:
    """Return the frequency of a group: months; years or quarters in turn; mostly any other; and round again."""
    place = group % 3
    if place == 0:
        return "monthly"
    if place == 1:
        return ("yearly", "quarterly")[update % 2]
    if update % 4 == 0:
        return ("quarterly", "yearly")[update // 4 % 2]
    shares = np.array(list(_OTHERS.values()))
    return str(rng.choice(list(_OTHERS), p=shares / shares.sum()))


def _targets(
    past: Past, rows: NDArray[np.int64], steps: NDArray[np.int64], horizon: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what follows each step, in its unit, and its weight.

    A unit that is large beside the usual change of the whole series weighs more, up to twice: as if half of the error
    were measured in the one, and half in the other.
    """
    length, season = past.values.shape[1], past.seasons[0]
    level, scale = past.level[rows, steps], past.scale[rows, steps]
    at = steps[:, None] + np.arange(1, horizon + 1)
    exists = at < length
    at = np.minimum(at, length - 1)
    exists &= past.known[rows[:, None], at]
    targets = (past.values[rows[:, None], at] - level[:, None]) / scale[:, None]
    usual = past.scale[:, -1]
    if length > season:
        usual = np.abs(past.values[:, season:] - past.values[:, :-season]).mean(axis=1)
    usual = np.maximum(usual, 1e-3 * past.scale.max(axis=1))[rows]
    weights = np.minimum(scale / (0.5 * scale + 0.5 * usual), 2.0)
    return targets, exists * weights[:, None]


def _tensor(array: NDArray[np.float64]) -> Tensor:
    """Return float32 in memory of torch's own: the last bit of a product may depend on where a matrix begins."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(torch.float32)
