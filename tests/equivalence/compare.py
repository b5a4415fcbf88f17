"""How far apart two answers are."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def distance(found: Iterable[Tensor], expected: Iterable[Tensor]) -> float:
    """The largest difference, relative to the larger of 1 and the largest entry expected; NaN if either has one."""
    pairs = list(zip(found, expected, strict=True))
    for one, other in pairs:
        assert one.shape == other.shape
        assert one.dtype == other.dtype
    if not pairs:
        return 0.0
    apart = torch.cat([(one - other).detach().abs().flatten() for one, other in pairs])
    sizes = torch.cat([other.detach().abs().flatten() for _, other in pairs])
    if not len(apart):
        return 0.0
    return float(apart.max()) / max(1.0, float(sizes.max())) if not math.isnan(float(apart.max())) else math.nan
