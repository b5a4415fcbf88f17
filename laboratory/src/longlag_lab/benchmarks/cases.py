"""The cases of ``longlag bench cpu``: shapes, cells, what each is compared with, and the bar it has to reach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from longlag.cell import CellSpec

__all__ = ["Case", "Other", "Peer", "Work", "cpu_cases"]

Work = Literal["training", "inference", "step"]
Peer = Literal["nn.LSTM", "packed nn.LSTM", "eager PyTorch", "nn.LSTMCell", "default cell", "1 thread"]
Other = Literal["torch.compile", "JAX lax.scan"]

DEFAULT = CellSpec()
DTYPES = (torch.float32, torch.float64)

LARGEST = (100, 64, 512, 512)
"""Left out of a quick run."""

# (T, B, I, H): times faster than torch.nn.LSTM in float32, in float64
PLAIN = {
    (100, 1000, 2, 4): (15.0, 10.0),
    (100, 1, 2, 4): (4.0, 30.0),
    (100, 32, 16, 32): (1.5, 3.0),
    (1000, 32, 32, 32): (1.6, 3.0),
    (100, 32, 64, 64): (1.15, 2.2),
    (100, 64, 128, 128): (1.0, 1.3),
    (100, 64, 256, 256): (1.0, 1.3),
    LARGEST: (1.0, 1.3),
}
RAGGED = {(100, 64, 64, 64): (4.0, 4.0)}
# the same against the hand-written cell
PEEPHOLES = {
    (100, 1, 2, 4): (5.0, 5.0),
    (100, 1000, 2, 4): (5.0, 5.0),
    (100, 32, 64, 64): (5.0, 5.0),
    (100, 64, 256, 256): (2.0, 2.0),
}
# shapes alone: no bar was set
INFERENCE = ((100, 1, 64, 64), (100, 32, 64, 64))

OPTIONS_SHAPE = (100, 64, 64, 64)
OPTIONS = {
    "peepholes": CellSpec(peepholes=True),
    "cells_per_block=2": CellSpec(cells_per_block=2),
    "gate_recurrence": CellSpec(gate_recurrence=True),
    "hochreiter1997": CellSpec.hochreiter1997(),
    "batch2013": CellSpec.batch2013(),
    "coupled": CellSpec.coupled(),
    "conventional_units=4": CellSpec(conventional_units=4),
    "proj_size=H/2": DEFAULT,
}
OPTION_COST = 1.25

SHARED = ((100, 64, 64, 64), (100, 64, 256, 256), (100, 1000, 2, 4))
SHARED_GAIN = 1.7


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the report.

    Parameters
    ----------
    name : str
        The row's name, to which ``title`` adds shape and type.
    steps, samples, inputs, hidden : int
        T, B, I and H.
    dtype : torch.dtype
    cell : CellSpec
    projection : int
        P, or 0 for none.
    ragged : bool
        Lengths are uniform in 1..T instead of T.
    threads : int
        Torch's threads; a peer called "1 thread" has one.
    peer : str
        The implementation that the ratio is taken with.
    others : tuple of str
        Implementations that are timed beside it.
    work : {"training", "inference", "step"}
        Training is forward and backward with an input that takes a gradient; inference is forward without gradients;
        a step is one step, without gradients, of a sequence that comes in step by step.
    bar : float, optional
        The ratio to reach; see ``at_most``.
    seed : int
    """

    name: str
    steps: int
    samples: int
    inputs: int
    hidden: int
    dtype: torch.dtype
    cell: CellSpec = DEFAULT
    projection: int = 0
    ragged: bool = False
    threads: int = 1
    peer: Peer = "nn.LSTM"
    others: tuple[Other, ...] = ()
    work: Work = "training"
    bar: float | None = None
    seed: int = 1997

    @property
    def title(self) -> str:
        """The row's name with shape and type."""
        shape = f"B{self.samples} I{self.inputs} H{self.hidden} f{self.dtype_name[-2:]}"
        return f"{self.name}, {shape}" if self.work == "step" else f"{self.name}, T{self.steps} {shape}"

    @property
    def dtype_name(self) -> str:
        """The type's name: "float32" or "float64"."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def at_most(self) -> bool:
        """Whether the ratio is a cost beside our default cell, with an upper bar, and not a speed-up."""
        return self.peer == "default cell"

    def lengths(self) -> list[int]:
        """Return the number of real steps of each sequence."""
        if not self.ragged:
            return [self.steps] * self.samples
        generator = torch.Generator().manual_seed(self.seed)
        lengths: list[int] = torch.randint(1, self.steps + 1, (self.samples,), generator=generator).tolist()
        return lengths

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds in the matrix products of a forward pass over the real steps, or of the one step that is timed.

        A backward pass has twice as many.
        """
        real = self.samples if self.work == "step" else sum(self.lengths())
        sources = self.cell.source_size(self.hidden, self.projection)
        per_step = self.cell.row_count(self.hidden) * (self.inputs + sources) + self.projection * self.hidden
        return real * per_step

    @property
    def operations(self) -> int:
        """Floating point operations in the matrix products of what is timed."""
        return 2 * self.multiply_adds * (3 if self.work == "training" else 1)

    @property
    def traffic(self) -> int:
        """Bytes that any method must read and write: inputs, outputs, their errors and the weights.

        What a method keeps for its backward pass is not counted.
        """
        real = self.samples if self.work == "step" else sum(self.lengths())
        outputs = self.cell.output_size(self.hidden, self.projection)
        sources = self.cell.source_size(self.hidden, self.projection)
        weights = self.cell.row_count(self.hidden) * (self.inputs + sources)
        forward = real * (self.inputs + outputs) + weights
        back = real * (2 * self.inputs + 2 * outputs) + 2 * weights
        size: int = self.dtype.itemsize
        return size * (forward + (back if self.work == "training" else 0))

    def of_default_cell(self) -> Case:
        """Return the same case with the default cell."""
        return replace(self, cell=DEFAULT, projection=0)


def _sized(name: str, shape: tuple[int, int, int, int], dtype: torch.dtype) -> Case:
    steps, samples, inputs, hidden = shape
    return Case(name=name, steps=steps, samples=samples, inputs=inputs, hidden=hidden, dtype=dtype)


def cpu_cases(*, quick: bool, threads: int, cores: int) -> list[Case]:
    """Return all rows of ``longlag bench cpu``.

    quick : without the largest layers, torch.compile and JAX, and the cells' options in float32 alone.
    threads : for every row that does not set its own. The bars were set for one thread, so with more there are none.
    cores : rows that compare thread counts need two.
    """
    return [
        replace(case, threads=threads, bar=case.bar if threads == 1 else None)
        for case in (
            *_speed_ups("LSTM", PLAIN, quick, others=("JAX lax.scan",)),
            *_speed_ups("ragged", RAGGED, quick, ragged=True, peer="packed nn.LSTM"),
            *_speed_ups(
                "peepholes",
                PEEPHOLES,
                quick,
                cell=CellSpec(peepholes=True),
                peer="eager PyTorch",
                others=("torch.compile",),
            ),
            *_options(quick),
            *(replace(_sized("inference", shape, dtype), work="inference") for shape in INFERENCE for dtype in DTYPES),
            *_steps(),
        )
    ] + (_shared(max(2, threads)) if cores >= 2 else [])


def _speed_ups(
    name: str,
    bars: dict[tuple[int, int, int, int], tuple[float, float]],
    quick: bool,
    *,
    others: tuple[Other, ...] = (),
    cell: CellSpec = DEFAULT,
    ragged: bool = False,
    peer: Peer = "nn.LSTM",
) -> list[Case]:
    return [
        replace(
            _sized(name, shape, dtype),
            bar=bar,
            cell=cell,
            ragged=ragged,
            peer=peer,
            # compiling takes half a minute for each type, and says as much about one as about both
            others=() if quick or (dtype, others) == (torch.float64, ("torch.compile",)) else others,
        )
        for shape, pair in bars.items()
        if not (quick and shape == LARGEST)
        for dtype, bar in zip(DTYPES, pair, strict=True)
    ]


def _options(quick: bool) -> list[Case]:
    return [
        replace(
            _sized(name, OPTIONS_SHAPE, dtype),
            cell=cell,
            projection=OPTIONS_SHAPE[-1] // 2 if name.startswith("proj_size") else 0,
            peer="default cell",
            bar=OPTION_COST,
        )
        for name, cell in OPTIONS.items()
        for dtype in (DTYPES[:1] if quick else DTYPES)
    ]


def _steps() -> list[Case]:
    return [replace(_sized("one step", (100, 1, 2, 4), dtype), peer="nn.LSTMCell", work="step") for dtype in DTYPES]


def _shared(threads: int) -> list[Case]:
    bar = SHARED_GAIN if threads == 2 else None
    return [
        replace(_sized(f"{threads} threads", shape, dtype), threads=threads, peer="1 thread", bar=bar)
        for shape in SHARED
        for dtype in DTYPES
    ]
