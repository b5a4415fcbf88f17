"""The options of a cell that every engine for any cell computes."""

from __future__ import annotations

__all__ = ["COMMON_FIELDS"]

COMMON_FIELDS = frozenset(
    {
        "biases",
        "cells_per_block",
        "conventional_units",
        "coupled_gates",
        "forget_gate",
        "gate_recurrence",
        "input_gate",
        "input_squash",
        "output_gate",
        "output_squash",
        "peepholes",
        "recurrence",
        "sharpness",
        "unit_squash",
    }
)
"""The fields of ``CellSpec`` that every engine for any cell implements: the reference, bptt, the CPU and GPU kernels.

A field that the reference alone implements stands in ``reference.FIELDS``; it comes here once all of them do.
"""
