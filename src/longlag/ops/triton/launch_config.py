"""How a kernel is launched: what fits on one SM, how many samples a program takes, how products are rounded."""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

import torch
from triton.runtime import driver

from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.ops.triton.geometry import SMALLEST_SIDE, Geometry, geometry, power_of_two

__all__ = [
    "CHUNK",
    "HOPPER",
    "Chip",
    "Kernel",
    "LaunchConfig",
    "Rounding",
    "candidate_configs",
    "chip_of",
    "default_config",
    "fits_on_one_sm",
    "float32_rounding",
    "product_rounding",
    "resident_numbers",
    "state_dtype",
]


class Chip(NamedTuple):
    """What the choice of a launch has to know of a GPU.

    shared : bytes of shared memory of a program. tensor_cores : whether they multiply the types that the kernels use.
    """

    shared: int
    tensor_cores: bool


HOPPER = Chip(232_448, True)
"""An H100 or H200."""
OTHER_SHARED = 2**14
"""Bytes of shared memory that a kernel needs besides its weights, as compiled for sm_90."""
REGISTER_BYTES = {torch.float32: 2**18, torch.float64: 2**17}
"""Bytes of weights that may stay in registers. An SM has 256 KiB: with 128 plain cells in float32, some values
of each thread spill into its cache, as compiled for sm_90; what is larger in float64 goes step by step."""
CHUNK = 128
"""Cells of a program that computes one step of a layer too large to stay."""

Kernel = Literal["forward", "backward"]
Rounding = Literal["ieee", "tf32x3", "tf32"]
"""Of products of float32, in Triton's words: exact, three products of tf32 for one, one product of tf32."""


class LaunchConfig(NamedTuple):
    """What a kernel is compiled for besides the layer.

    samples : of one program. dot : whether products run on tensor cores. warps : of 32 threads, in one program.
    """

    samples: int
    dot: bool
    warps: int


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the type of states, of sums and of the errors of states, for a layer of that type: at least float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def product_rounding(dtype: torch.dtype, chip: Chip = HOPPER) -> Rounding:
    """Return how the kernels round products of that type.

    Only float32 on tensor cores is not exact, where PyTorch is set so.

    A device without tf32 computes exactly, as cuBLAS does there.
    """
    return float32_rounding() if dtype == torch.float32 and chip.tensor_cores else "ieee"


def float32_rounding() -> Rounding:
    """Return how PyTorch is set to round products of float32 on CUDA, by its newer setting or by its older one.

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
    """Return what that device has. Without a GPU, which means in tests, it is an H200.

    Before compute capability 8.0 there is neither tf32 nor bfloat16, and for float16 Triton needs twice the memory.
    """
    if device.type != "cuda":
        return HOPPER
    shared = int(driver.active.utils.get_device_properties(device.index)["max_shared_mem"])
    return Chip(shared, torch.cuda.get_device_capability(device) >= (8, 0))


def resident_numbers(geo: Geometry) -> int:
    """Return how many weights a program keeps from step to step, padding included."""
    rows = geo.slots * sum(row >= 0 for row in (geo.row_i, geo.row_f, geo.row_g, geo.row_o))
    columns = geo.column_slots + geo.slots * sum(column >= 0 for column in (geo.col_i, geo.col_f, geo.col_o))
    if geo.conventional:
        rows, columns = rows + geo.unit_slots, columns + geo.unit_slots
    project = geo.slots * geo.column_slots if geo.projected else 0
    return (rows * columns if geo.recurrence else 0) + project


def _fits_shared_memory(numbers: int, dtype: torch.dtype, chip: Chip) -> bool:
    return chip.tensor_cores and numbers * dtype.itemsize + OTHER_SHARED <= chip.shared


def _register_bytes(numbers: int, dtype: torch.dtype) -> int:
    """Return bytes of so many weights in registers: what is shorter than float32 is multiplied as float32."""
    return numbers * state_dtype(dtype).itemsize


@functools.lru_cache(maxsize=256)
def fits_on_one_sm(spec: CellSpec, hidden: int, dtype: torch.dtype, projection: int = 0, chip: Chip = HOPPER) -> bool:
    """Return whether the recurrent weights stay on one SM, so that one launch serves all steps.

    Short types are multiplied on tensor cores, where there are such, with the weights in shared memory; the others have
    them in registers.
    """
    numbers = resident_numbers(geometry(spec, hidden, projection))
    if dtype.itemsize == 2 and chip.tensor_cores:
        return _fits_shared_memory(numbers, dtype, chip)
    return _register_bytes(numbers, dtype) <= REGISTER_BYTES[state_dtype(dtype)]


@functools.lru_cache(maxsize=256)
def default_config(
    geo: Geometry, dtype: torch.dtype, rounding: Rounding, resident: bool, chip: Chip = HOPPER
) -> LaunchConfig:
    """Return the configuration for one layer, type and rounding. It depends on no batch size: each would compile anew.

    Raises InputError where a block has more cells than a program can hold.
    """
    if not resident:
        if geo.slots > 1024:
            raise InputError(f"cells_per_block is {geo.per_block}; expected at most 1024 for backend 'triton'")
        return LaunchConfig(1024 // geo.slots, False, 4)
    numbers = resident_numbers(geo)
    # tf32x3 keeps two copies of its weights.
    space = numbers * (2 if rounding == "tf32x3" else 1)
    if (dtype.itemsize == 2 or rounding != "ieee") and _fits_shared_memory(space, dtype, chip):
        return LaunchConfig(16, True, 8 if geo.slots > 32 else 4)
    # Sums of products take longer with every sample, so a program takes one, and many SMs take part; with two, threads
    # of some layers spill kilobytes. 64 registers of a thread hold weights while there are threads enough.
    size = _register_bytes(numbers, dtype)
    return LaunchConfig(1, False, min(16, power_of_two(-(-size // (64 * 32 * 4)))))


MOST_PRODUCTS = 512
"""Products of a thread, for each kind of unit, up to which a configuration is worth timing."""


@functools.lru_cache(maxsize=256)
def candidate_configs(
    geo: Geometry, dtype: torch.dtype, rounding: Rounding, chip: Chip = HOPPER
) -> tuple[LaunchConfig, ...]:
    """Return configurations worth timing where all steps are one launch, ``default_config`` first.

    The others have half or twice its samples or warps.
    """
    default = default_config(geo, dtype, rounding, True, chip)
    configs = [default]
    for samples in (default.samples // 2, default.samples, default.samples * 2):
        for warps in (default.warps // 2, default.warps, default.warps * 2):
            products = samples * geo.column_slots * geo.slots // (32 * warps) if warps else 0
            least = SMALLEST_SIDE if default.dot else 1
            if samples >= least and 1 <= warps <= 16 and (default.dot or products <= MOST_PRODUCTS):
                configs.append(LaunchConfig(samples, default.dot, warps))
    return tuple(dict.fromkeys(configs))
