"""One layer on every engine, for tests of what PyTorch does with modules."""

from __future__ import annotations

import torch
from torch import Tensor

import longlag
from equivalence.engines import NATIVE, on_every_backend
from longlag import CellSpec

PLAIN = CellSpec()
RICH = CellSpec(cells_per_block=2, peepholes=True, gate_recurrence=True, sharpness=1.5, conventional_units=1)
CELLS = {"plain": PLAIN, "peephole blocks": CellSpec(cells_per_block=2, peepholes=True), "rich": RICH}
ENGINES = on_every_backend({"plain": PLAIN, "rich": RICH}, PLAIN)
OPAQUE = ("bptt", *NATIVE)  # one step to PyTorch, which cannot be transformed
LENGTHS = torch.tensor([3, 0, 2])


def layer(cell: CellSpec = PLAIN, backend: str = "auto", **options) -> longlag.LSTM:
    torch.manual_seed(9)
    return longlag.LSTM(3, 4, **({"dtype": torch.float64} | options), cell=cell, backend=backend)


def sequences() -> Tensor:
    return torch.randn(3, 3, 3, dtype=torch.float64)


def flat(answer) -> list[Tensor]:
    return [answer[0], *answer[1]]


def assert_same(found, expected, **tolerance) -> None:
    tolerance = tolerance or {"rtol": 0, "atol": 0}
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, **tolerance)
