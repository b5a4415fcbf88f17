"""How a layer's kernels are started: what they are compiled for, and the memory that they fill."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from longlag.cell import CellSpec
from longlag.ops.paths import ErrorPaths
from longlag.ops.triton.forward import forward_kernel
from longlag.ops.triton.geometry import Geometry, geometry
from longlag.ops.triton.tiles import CHUNK, Tile, chip_of, precision, tile

__all__ = ["INTERPRETED", "Call", "Kept", "Launch", "Recurrent", "all_lengths", "blank", "number"]

INTERPRETED = not isinstance(forward_kernel, triton.JITFunction)
"""Whether TRITON_INTERPRET was set when the kernels were defined: then NumPy runs them, on the CPU, for tests."""


class Call(NamedTuple):
    """What of a call is not a tensor. resident: one launch for all steps; else a product and a launch for each."""

    spec: CellSpec
    paths: ErrorPaths
    resident: bool


class Kept(NamedTuple):
    """What the way back needs. Steps beyond a sequence's length hold zeros.

    units : (T, B, rows) activations; cells : (T + 1, B, H) states, cells[t] = s_{t-1}, in ``state_type``.
    """

    units: Tensor
    cells: Tensor


class Recurrent(NamedTuple):
    """The weights that the kernels read."""

    recurrent: Tensor
    peephole: Tensor | None
    projection: Tensor | None


class Launch(NamedTuple):
    """One layer's kernels: what they are compiled for, and how they are started."""

    geo: Geometry
    tile: Tile
    constants: dict[str, Any]

    @classmethod
    def of(cls, call: Call, inputs: Tensor, hidden: int, columns: int, chosen: Tile | None = None) -> Launch:
        """``columns`` : of a projection, or 0. ``chosen`` None: what ``tiles.tile`` takes for such layers."""
        geo = geometry(call.spec, hidden, columns, 0 if call.resident else CHUNK)
        chip = chip_of(inputs.device)
        rounding = precision(inputs.dtype, chip)
        if chosen is None:
            chosen = tile(geo, inputs.dtype, rounding, call.resident, chip)
        if INTERPRETED and inputs.dtype == torch.bfloat16:
            chosen = Tile(2, False, 1)  # NumPy has no bfloat16 to multiply
        return cls(
            geo,
            chosen,
            {
                "geo": geo,
                "RESIDENT": call.resident,
                "TILE": chosen.samples,
                "DOT": chosen.dot,
                "PRECISION": rounding,
                "num_warps": chosen.warps,
                "num_stages": 1,
                "enable_fp_fusion": True,
            },
        )

    def grid(self, samples: int) -> tuple[int, int]:
        """Programs: batch tiles, and chunks of cells where one program does not hold them all."""
        slots = max(self.geo.blocks * self.geo.places, self.geo.conventional)
        chunks = 1 if self.constants["RESIDENT"] else -(-slots // self.geo.slots)
        return -(-samples // self.tile.samples), chunks


@functools.lru_cache(maxsize=256)
def number(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor([value], dtype=dtype, device=device)


def all_lengths(inputs: Tensor, lengths: Tensor | None) -> Tensor:
    """Lengths as the kernels take them; full ones too, so that raggedness compiles nothing anew."""
    if lengths is None:
        return torch.full((inputs.shape[1],), inputs.shape[0], dtype=torch.int64, device=inputs.device)
    return lengths.contiguous()


def blank(inputs: Tensor, lengths: Tensor | None, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
    """Memory for the kernels to fill; they leave steps beyond a length as they are."""
    make = inputs.new_empty if lengths is None else inputs.new_zeros
    return make(shape, dtype=dtype)
