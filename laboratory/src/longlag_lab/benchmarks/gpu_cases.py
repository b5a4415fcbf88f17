"""The cases of ``longlag bench gpu``: shapes, cells, kinds of numbers, entrants, and the targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from longlag.cell import CellSpec
from longlag_lab.benchmarks.cases import DEFAULT, Case

__all__ = ["DTYPE", "TOLERANCE", "Entrant", "GpuCase", "Numbers", "Target", "gpu_cases", "sweep_cases"]

Numbers = Literal["float32", "tf32", "bfloat16", "float16", "float64"]
"""tf32: float32 numbers, multiplied with ten bits of their fraction, by our kernels and by cuDNN."""
Entrant = Literal["longlag", "auto", "nn.LSTM", "our plain cell", "eager PyTorch", "torch.compile"]
"""longlag: our kernels; auto: the engine that "auto" takes; eager and compiled: the hand-written peephole cell."""

DTYPE: dict[Numbers, torch.dtype] = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}
TOLERANCE: dict[Numbers, float] = {"float32": 1e-4, "tf32": 3e-2, "bfloat16": 1e-1, "float16": 3e-2, "float64": 1e-11}
"""Largest difference from the definition in float64, in units of the largest entry of the tensor. Short numbers are
rounded anew in every step, so that a gradient over hundreds of steps has a digit or two less than its type."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """``who`` is to take at most 1 / ratio of the time of ``peer``; with ``cost`` at most ratio times that time."""

    who: Entrant
    peer: Entrant
    ratio: float
    cost: bool = False


@dataclass(frozen=True, kw_only=True)
class GpuCase:
    """One shape, cell, kind of numbers and work; the entrants run one after the other, in turn."""

    case: Case
    numbers: Numbers
    entrants: tuple[Entrant, ...]
    targets: tuple[Target, ...] = ()

    @property
    def title(self) -> str:
        """The case's name with its shape, numbers and work."""
        case = self.case
        return (
            f"{case.name}, T{case.steps} B{case.samples} I{case.inputs} H{case.hidden} {self.numbers}, "
            f"{'forward and backward' if case.work == 'training' else 'forward'}"
        )


CELLS = {
    "peepholes": CellSpec(peepholes=True),
    "blocks of two": CellSpec(cells_per_block=2),
    "sharpness 3.75": CellSpec(sharpness=3.75),
}
SHAPES = tuple((256, samples, 64, hidden) for hidden in (32, 64, 128, 256, 512, 1024) for samples in (1, 16, 64, 256))
QUICK_SHAPES = ((256, 16, 64, 64), (256, 64, 64, 128), (256, 64, 64, 512))
SWEEP = (2, 4, 8, 16, 32, 64, 128, 256, 512)


def _case(name: str, shape: tuple[int, int, int, int], numbers: Numbers, cell: CellSpec = DEFAULT) -> Case:
    steps, samples, inputs, hidden = shape
    dtype = DTYPE[numbers]
    return Case(name=name, steps=steps, samples=samples, inputs=inputs, hidden=hidden, dtype=dtype, cell=cell)


def gpu_cases(*, quick: bool) -> list[GpuCase]:
    """Plain cells beside cuDNN in every kind of numbers; other cells beside our plain one and the hand-written one."""
    shapes = QUICK_SHAPES if quick else SHAPES
    cases = [
        _plain(shape, numbers)
        for shape in shapes
        for numbers in DTYPE
        if not (numbers == "float64" and shape[-1] > 256)
    ]
    for shape in QUICK_SHAPES[:2]:
        for numbers in ("float32", "bfloat16"):
            cases += [_option(name, cell, shape, numbers) for name, cell in CELLS.items()]
    return cases + [
        replace(one, case=replace(one.case, work="inference"), targets=()) for one in cases if one.case.cell == DEFAULT
    ]


def _plain(shape: tuple[int, int, int, int], numbers: Numbers) -> GpuCase:
    small = shape[-1] <= 128
    ratio = 3.0 if numbers == "float64" else 2.0 if small and numbers in ("float32", "bfloat16") else 1.0
    targets = (Target(who="auto", peer="nn.LSTM", ratio=ratio),)
    return GpuCase(
        case=_case("LSTM", shape, numbers), numbers=numbers, entrants=("longlag", "auto", "nn.LSTM"), targets=targets
    )


def _option(name: str, cell: CellSpec, shape: tuple[int, int, int, int], numbers: Numbers) -> GpuCase:
    entrants: tuple[Entrant, ...] = ("longlag", "our plain cell")
    targets = [Target(who="longlag", peer="our plain cell", ratio=1.2, cost=True)]
    if cell == CELLS["peepholes"]:
        entrants = (*entrants, "eager PyTorch", "torch.compile")
        targets.append(Target(who="longlag", peer="eager PyTorch", ratio=20.0))
    return GpuCase(case=_case(name, shape, numbers, cell), numbers=numbers, entrants=entrants, targets=tuple(targets))


def sweep_cases(*, quick: bool) -> list[Case]:
    """Forward and backward of the batch paper's cell for one number of cells after the other: its Figure 4(a)."""
    cell = CellSpec.batch2013()
    return [_case("batch2013", (100, 100, 2, hidden), "float32", cell) for hidden in (SWEEP[1::3] if quick else SWEEP)]
