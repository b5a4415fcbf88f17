"""The cells of the CPU kernels: what they know of a CellSpec. Without tensors, so that it does not wait for PyTorch."""

from __future__ import annotations

import functools

from longlag import _native
from longlag.cell import CellSpec

__all__ = ["compiled_cell"]


@functools.lru_cache(maxsize=256)
def compiled_cell(spec: CellSpec) -> _native.Cell:
    """Return the kernels' part of a cell: ``biases`` is how PyTorch stores what they read as one bias."""
    return _native.Cell(
        cells_per_block=spec.cells_per_block,
        input_gate=spec.input_gate,
        forget_gate=spec.forget_gate,
        output_gate=spec.output_gate,
        coupled_gates=spec.coupled_gates,
        peepholes=spec.peepholes,
        gate_recurrence=spec.gate_recurrence,
        input_squash=spec.input_squash,
        output_squash=spec.output_squash,
        sharpness=float(spec.sharpness),
        recurrence=spec.recurrence,
        conventional_units=spec.conventional_units,
        unit_squash=spec.unit_squash,
    )
