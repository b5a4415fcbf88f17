"""Which way to use the CPU kernels is fastest for given sizes, as the laboratory has measured it."""

from __future__ import annotations

import functools
from typing import Literal

import torch
from torch import Tensor

from longlag import _native
from longlag.cell import CellSpec

__all__ = ["Lanes", "checkpoint_interval", "choose_lanes"]

Lanes = Literal["samples", "units"]
"""What fills the lanes of a vector: small nets take many samples side by side, larger ones many units."""

_WIDTH = {wide: _native.lanes(wide) for wide in (False, True)}


@functools.lru_cache(maxsize=256)
def choose_lanes(spec: CellSpec, inputs: int, hidden: int, samples: int, wide: bool) -> Lanes:
    """Choose samples in lanes where vectors of units would stay partly empty, or samples are many; units elsewhere."""
    width = _WIDTH[wide]
    blocks = spec.blocks(hidden)
    idle_samples = -(-samples // width) * width / max(samples, 1)
    idle_units = -(-blocks // width) * width / blocks
    margin = 1.01 if samples >= 8 * width else 0.75
    # One vector of sums for each weight has to stay in the cache.
    fits = spec.row_count(hidden) * (inputs + spec.source_size(hidden)) * 64 <= 2**18
    return "samples" if fits and idle_samples < margin * idle_units else "units"


def checkpoint_interval(spec: CellSpec, lanes: Lanes, inputs: Tensor, hidden: int) -> int:
    """Steps between checkpoints where that is faster than writing and reading a tape; 0 where it is not.

    A small net's tape takes longer to write and to read again than what is on it takes to compute. The results are the
    same, bit for bit.
    """
    steps, samples, features = inputs.shape
    if type(steps) is not int or type(samples) is not int:  # a tracer's symbol: no choice may hang on its value
        return 0
    rows = spec.row_count(hidden)
    if steps * samples * (rows + hidden) * inputs.element_size() < _CACHE:
        return 0
    columns = features + spec.source_size(hidden)
    limit = _RECOMPUTE_BELOW[lanes, inputs.dtype]
    return 32 if columns < limit else 0


_CACHE = 2**21
_RECOMPUTE_BELOW = {
    ("samples", torch.float32): 1024,
    ("samples", torch.float64): 1024,
    ("units", torch.float32): 48,
    ("units", torch.float64): 96,
}
"""Sources of a unit (input features and recurrent ones) up to which a product costs less than its result's traffic."""
