"""Series and networks for the tests of zero-shot forecasts: small ones with random weights, in float64 where wanted."""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray

from longlag.cell import CellSpec
from longlag.pretrained.torch_network import TorchNetwork, torch_network
from longlag.pretrained.weights import NetworkSettings, Weights, expected_shapes, packaged_weights
from longlag.pretrained.zero_shot import ZeroShotModel

Array = NDArray[np.float64]


def random_weights(seed: int = 0, **settings: object) -> Weights:
    """Weights that nobody has taught."""
    sizes = {"hidden_size": 6, "num_layers": 2, "head_size": 5, "cell": CellSpec()} | settings
    made, rng = NetworkSettings(**sizes), np.random.default_rng(seed)  # type: ignore[arg-type]
    shapes = expected_shapes(made).items()
    return Weights(made, {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes})


@functools.cache
def in_float64() -> ZeroShotModel:
    """The model of the package with every number in float64."""
    return ZeroShotModel(TorchNetwork(torch_network(packaged_weights()).to(torch.float64)))


def seasonal(steps: int = 96, season: int = 12, seed: int = 0, noise: float = 2.0) -> Array:
    """A trend with a season and noise; positive."""
    rng, at = np.random.default_rng(seed), np.arange(steps)
    return 100 + 0.3 * at + 15 * np.sin(2 * np.pi * at / season) + noise * rng.normal(size=steps)


def kinds(steps: int = 60) -> dict[str, Array]:
    """Series of many kinds, some of them odd."""
    rng, at = np.random.default_rng(1), np.arange(steps)
    plain = seasonal(steps)
    return {
        "plain": plain,
        "negative": -plain,
        "noise": rng.normal(size=steps),
        "random walk": np.cumsum(rng.normal(size=steps)),
        "counts": rng.poisson(0.3, size=steps).astype(float),
        "growth": np.exp(at / 10),
        "gaps": np.where(rng.random(steps) < 0.3, np.nan, plain),
        "a gap at the end": np.where(at < steps - 4, plain, np.nan),
        "a gap in front": np.where(at < 20, np.nan, plain),
        "an outlier": np.where(at == steps - 1, 1e5, plain),
        "a change at the end": np.where(at == steps - 1, 5.0001, 5.0),
        "on and off": at % 2.0,
        "high": plain + 1e12,
        "two": plain[:2],
        "three": plain[:3],
    }
