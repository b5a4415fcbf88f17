"""How a layer's kernels are started: what they are compiled for, and the memory that they fill."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from longlag.cell import CellSpec
from longlag.ops.paths import GradientPaths
from longlag.ops.triton import tuning
from longlag.ops.triton.dummy_inputs import dummy_inputs
from longlag.ops.triton.forward_kernel import forward_kernel
from longlag.ops.triton.geometry import Geometry, geometry
from longlag.ops.triton.launch_config import (
    CHUNK,
    Kernel,
    LaunchConfig,
    candidate_configs,
    chip_of,
    default_config,
    product_rounding,
)

__all__ = [
    "INTERPRETED",
    "KernelTape",
    "Launch",
    "Plan",
    "RecurrentWeights",
    "choose_launch",
    "constant",
    "full_lengths",
    "output_buffer",
    "side_by_side",
]

INTERPRETED = not isinstance(forward_kernel, triton.JITFunction)
"""Whether TRITON_INTERPRET was set when the kernels were defined: then NumPy runs them, on the CPU, for tests."""


class Plan(NamedTuple):
    """How a layer's pass runs. resident : one launch for all steps; else a product and a launch for each step."""

    spec: CellSpec
    paths: GradientPaths
    resident: bool


class KernelTape(NamedTuple):
    """What the way back needs of the forward pass. Steps beyond a sequence's length hold zeros.

    activations : (T, B, rows), of all units; states : (T + 1, B, H), states[t] = s_{t-1}, in ``state_dtype``.
    """

    activations: Tensor
    states: Tensor


class RecurrentWeights(NamedTuple):
    """The weights that the kernels read themselves; W and b are multiplied and added before."""

    recurrent: Tensor
    peephole: Tensor | None
    projection: Tensor | None


class Launch(NamedTuple):
    """One layer's kernel, ready to be started: geometry, configuration, and the constants that it is compiled for."""

    geo: Geometry
    config: LaunchConfig
    constants: dict[str, Any]

    @classmethod
    def of(cls, plan: Plan, like: Tensor, hidden: int, columns: int, config: LaunchConfig | None = None) -> Launch:
        """Return the launch for tensors ``like`` this one.

        ``columns`` : of a projection, or 0. ``config`` None takes ``default_config``.
        """
        geo = geometry(plan.spec, hidden, columns, 0 if plan.resident else CHUNK)
        chip = chip_of(like.device)
        rounding = product_rounding(like.dtype, chip)
        if config is None:
            config = default_config(geo, like.dtype, rounding, plan.resident, chip)
        if INTERPRETED and like.dtype == torch.bfloat16:
            config = LaunchConfig(2, False, 1)  # NumPy has no bfloat16 to multiply
        return cls(
            geo,
            config,
            {
                "geo": geo,
                "RESIDENT": plan.resident,
                "TILE": config.samples,
                "DOT": config.dot,
                "PRECISION": rounding,
                "num_warps": config.warps,
                "num_stages": 1,
                "enable_fp_fusion": True,
            },
        )

    def grid(self, samples: int) -> tuple[int, int]:
        """Return how many programs run: batch tiles, and chunks of cells where one program does not hold them all."""
        slots = max(self.geo.blocks * self.geo.places, self.geo.conventional)
        chunks = 1 if self.constants["RESIDENT"] else -(-slots // self.geo.slots)
        return -(-samples // self.config.samples), chunks


def choose_launch(
    kernel: Kernel,
    plan: Plan,
    like: Tensor,
    hidden: int,
    columns: int,
    compute: Callable[[Launch, tuple[Tensor | None, ...]], object],
) -> Launch:
    """Return the launch by default, or the one that was measured to be fastest where the user wants that.

    ``compute`` runs a whole pass with a launch, on the tensors that it is handed. Only launches for all steps are
    timed: a single step is over before the next one can be launched.
    """
    default = Launch.of(plan, like, hidden, columns)
    if not (plan.resident and tuning.is_wanted(like)):
        return default
    chip = chip_of(like.device)
    rounding = product_rounding(like.dtype, chip)

    def prepare(config: LaunchConfig) -> Callable[[], object]:
        launch = Launch.of(plan, like, hidden, columns, config)
        return functools.partial(compute, launch, dummy_inputs(kernel, default.geo, like))

    name = tuning.key(kernel, default.geo, like.dtype, rounding, like.device)
    candidates = candidate_configs(default.geo, like.dtype, rounding, chip)
    with torch.cuda.device_of(like):
        return Launch.of(plan, like, hidden, columns, tuning.fastest(name, candidates, prepare))


@functools.lru_cache(maxsize=256)
def constant(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return one number in the device's memory; it is written once for all calls."""
    return torch.tensor([value], dtype=dtype, device=device)


def full_lengths(inputs: Tensor, lengths: Tensor | None) -> Tensor:
    """Return lengths as kernels take them, full ones where there are none, so that raggedness compiles nothing anew."""
    if lengths is None:
        return torch.full((inputs.shape[1],), inputs.shape[0], dtype=torch.int64, device=inputs.device)
    return lengths.contiguous()


def output_buffer(like: Tensor, lengths: Tensor | None, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
    """Return memory for a kernel to fill. It holds zeros where a kernel leaves out the steps beyond a length."""
    make = like.new_empty if lengths is None else like.new_zeros
    return make(shape, dtype=dtype)


def side_by_side(output: Tensor, gates: Tensor) -> Tensor:
    """Return the source (B, width) of a step: outputs, then gate activations.

    It is no copy where there are no such gates.
    """
    return torch.cat([output, gates], dim=1) if gates.shape[1] else output.contiguous()
