"""Validation: the error on synthetic series that no training draws, for each frequency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from longlag.pretrained.network import LEVELS, ZeroShotNetwork
from longlag.synthetic.prior import FREQUENCIES, Prior
from longlag_lab.pretraining.batches import Batch, draw_batch
from longlag_lab.pretraining.gradients import answers, batch_loss

__all__ = ["Score", "mean_loss", "validate", "validation_batches"]

SEED = 20_001_231
"""Entropy of the held-out series. A spawn key keeps their generators apart from those of every training's seed."""
BATCHES = 4
VALUES, ANSWERS = 8_000, 9_000
LOW, HIGH = LEVELS.index(0.05), LEVELS.index(0.95)


@dataclass(frozen=True)
class Score:
    """The pinball loss in the unit of each step, and the share of values in the 90 % interval."""

    loss: float
    coverage: float


def validation_batches() -> dict[str, list[Batch]]:
    """Return held-out batches for each frequency, always the same ones, of the whole prior."""
    return {
        name: [
            draw_batch(
                np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(place, number))),
                Prior(),
                frequency,
                VALUES,
                ANSWERS,
            )
            for number in range(BATCHES)
        ]
        for place, (name, frequency) in enumerate(FREQUENCIES.items())
    }


@torch.no_grad()
def validate(network: ZeroShotNetwork, batches: dict[str, list[Batch]]) -> dict[str, Score]:
    """Return the score for each frequency."""
    return {name: _score(network, some) for name, some in batches.items()}


def mean_loss(scores: dict[str, Score]) -> float:
    """Return the mean of the losses, in which every frequency counts the same."""
    return sum(score.loss for score in scores.values()) / len(scores)


def _score(network: ZeroShotNetwork, batches: Sequence[Batch]) -> Score:
    losses, within, number = [], 0, 0
    for batch in batches:
        quantiles = answers(network, batch)
        losses.append(float(batch_loss(quantiles, batch)))
        exists = batch.weights > 0
        inside = (batch.targets >= quantiles[..., LOW]) & (batch.targets <= quantiles[..., HIGH])
        within += int((inside & exists).sum())
        number += int(exists.sum())
    return Score(sum(losses) / len(losses), within / max(number, 1))
