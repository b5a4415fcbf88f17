"""How the kernels are launched: what fits on one SM, how many samples a program takes, in which precision."""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

import torch
from triton.runtime import driver

from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.ops.triton.geometry import LEAST, Geometry, geometry, power_of_two

__all__ = [
    "CHUNK",
    "HOPPER",
    "Chip",
    "Kernel",
    "Rounding",
    "Tile",
    "candidates",
    "chip_of",
    "fits",
    "float32_rounding",
    "precision",
    "resident_numbers",
    "state_type",
    "tile",
]


class Chip(NamedTuple):
    """shared : bytes of shared memory of a program. tensor_cores : whether they are such as the kernels use."""

    shared: int
    tensor_cores: bool


HOPPER = Chip(232_448, True)
"""An H100 or H200."""
BESIDE = 2**14
"""Bytes of shared memory that a kernel with its weights there needs for other things, as compiled for sm_90."""
REGISTERS = {torch.float32: 2**18, torch.float64: 2**17}
"""Bytes of weights that may stay in registers. An SM has 256 KiB: with 128 plain cells in float32, some values
of each thread spill into its cache, as compiled for sm_90; what is larger in float64 goes step by step."""
CHUNK = 128
"""Cells of a program that computes one step of a layer too large to stay."""

Kernel = Literal["forward", "backward"]
Rounding = Literal["ieee", "tf32x3", "tf32"]
"""Of products of float32, in Triton's words: exact, three products of tf32 for one, one product of tf32."""


class Tile(NamedTuple):
    """samples : of a program. dot : products on tensor cores, where the type has them. warps : of 32 threads."""

    samples: int
    dot: bool
    warps: int


def state_type(dtype: torch.dtype) -> torch.dtype:
    """States, sums and errors of states of a layer of that type: at least float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def precision(dtype: torch.dtype, chip: Chip = HOPPER) -> Rounding:
    """How the kernels round products of that type. Only float32 on tensor cores is not exact, where PyTorch is set so.

    A device without tf32 computes exactly, as cuBLAS does there.
    """
    return float32_rounding() if dtype == torch.float32 and chip.tensor_cores else "ieee"


def float32_rounding() -> Rounding:
    """How PyTorch is set to round products of float32 on CUDA, by its newer setting or by its older one.

    ``torch.backends.cuda.matmul.fp32_precision`` (PyTorch 2.9 and later) holds what either of them said last, while
    ``torch.get_float32_matmul_precision`` raises once the newer one was used. Only the older one can say "high".
    """
    newer = getattr(torch.backends.cuda.matmul, "fp32_precision", None)
    if newer in ("none", "ieee"):
        return "ieee"
    try:
        older = torch.get_float32_matmul_precision()
    except RuntimeError:
        older = ""  # the newer setting was used, and says more
    if older == "high":
        return "tf32x3"
    return "tf32" if newer == "tf32" or older == "medium" else "ieee"


@functools.lru_cache(maxsize=16)
def chip_of(device: torch.device) -> Chip:
    """What that device has; an H200 where there is none, for tests.

    Before compute capability 8.0 there is neither tf32 nor bfloat16, and for float16 Triton needs twice the memory.
    """
    if device.type != "cuda":
        return HOPPER
    shared = int(driver.active.utils.get_device_properties(device.index)["max_shared_mem"])
    return Chip(shared, torch.cuda.get_device_capability(device) >= (8, 0))


def resident_numbers(geo: Geometry) -> int:
    """Weights that a program keeps from step to step, padding included."""
    rows = geo.slots * sum(row >= 0 for row in (geo.row_i, geo.row_f, geo.row_g, geo.row_o))
    columns = geo.column_slots + geo.slots * sum(column >= 0 for column in (geo.col_i, geo.col_f, geo.col_o))
    if geo.conventional:
        rows, columns = rows + geo.unit_slots, columns + geo.unit_slots
    project = geo.slots * geo.column_slots if geo.projected else 0
    return (rows * columns if geo.recurrence else 0) + project


def _stays_in_shared(numbers: int, dtype: torch.dtype, chip: Chip) -> bool:
    return chip.tensor_cores and numbers * dtype.itemsize + BESIDE <= chip.shared


def _in_registers(numbers: int, dtype: torch.dtype) -> int:
    """Bytes: what is shorter than float32 is multiplied as float32."""
    return numbers * state_type(dtype).itemsize


@functools.lru_cache(maxsize=256)
def fits(spec: CellSpec, hidden: int, dtype: torch.dtype, projection: int = 0, chip: Chip = HOPPER) -> bool:
    """Whether the recurrent weights stay on one SM, so that one launch serves all steps.

    Short types are multiplied on tensor cores, where there are such, with the weights in shared memory; the others have
    them in registers.
    """
    numbers = resident_numbers(geometry(spec, hidden, projection))
    if dtype.itemsize == 2 and chip.tensor_cores:
        return _stays_in_shared(numbers, dtype, chip)
    return _in_registers(numbers, dtype) <= REGISTERS[state_type(dtype)]


@functools.lru_cache(maxsize=256)
def tile(geo: Geometry, dtype: torch.dtype, rounding: str, resident: bool, chip: Chip = HOPPER) -> Tile:
    """For one layer, type and precision; never for a batch size or a length, which would compile anew for each.

    InputError: a block has more cells than a program can hold.
    """
    if not resident:
        if geo.slots > 1024:
            raise InputError(f"cells_per_block is {geo.per_block}; expected at most 1024 for backend 'triton'")
        return Tile(1024 // geo.slots, False, 4)
    numbers = resident_numbers(geo)
    # tf32x3 keeps two copies of its weights
    space = numbers * (2 if rounding == "tf32x3" else 1)
    if (dtype.itemsize == 2 or rounding != "ieee") and _stays_in_shared(space, dtype, chip):
        return Tile(16, True, 8 if geo.slots > 32 else 4)
    # Sums of products take longer with every sample: one each, so that many SMs take part; with two, threads of some
    # layers spill kilobytes. 64 registers of a thread hold weights while there are threads enough.
    size = _in_registers(numbers, dtype)
    return Tile(1, False, min(16, power_of_two(-(-size // (64 * 32 * 4)))))


LARGEST = 512
"""Products of a thread, for each kind of unit, in a tile that is worth timing."""


@functools.lru_cache(maxsize=256)
def candidates(geo: Geometry, dtype: torch.dtype, rounding: str, chip: Chip = HOPPER) -> tuple[Tile, ...]:
    """Tiles worth timing where all steps are one launch: ``tile`` itself, then half and twice its samples and warps."""
    usual = tile(geo, dtype, rounding, True, chip)
    found = [usual]
    for samples in (usual.samples // 2, usual.samples, usual.samples * 2):
        for warps in (usual.warps // 2, usual.warps, usual.warps * 2):
            products = samples * geo.column_slots * geo.slots // (32 * warps) if warps else 0
            least = LEAST if usual.dot else 1
            if samples >= least and 1 <= warps <= 16 and (usual.dot or products <= LARGEST):
                found.append(Tile(samples, usual.dot, warps))
    return tuple(dict.fromkeys(found))
