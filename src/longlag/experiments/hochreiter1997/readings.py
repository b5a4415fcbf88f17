"""Readings: each row as the text says, and, where that misses the paper's counts, as it fits them best.

docs/readings-1997.md says what was tried. A reading that was chosen after its results were seen is weaker evidence than
one that was not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from longlag.cell import Squash
from longlag.errors import InputError
from longlag.experiments.hochreiter1997.rows import literal
from longlag.experiments.hochreiter1997.setting import Setting
from longlag.online.topology import Loss
from longlag.tasks import Task

__all__ = ["READINGS", "Change", "setting_for"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a reading changes of the literal setting; None or empty: nothing."""

    why: str
    loss: Loss | None = None
    output_activation: Squash | None = None
    ranges: tuple[Squash, Squash] | None = None
    recurrence: str | None = None
    task: Task | None = None
    cells_at_start: bool = False
    learning_rate: float | None = None
    interval: float | None = None
    input_gate_bias: tuple[float, ...] | None = None
    output_gate_bias: tuple[float, ...] | None = None
    forget: bool = False

    def apply(self, setting: Setting) -> Setting:
        """The setting under this reading."""
        cell: dict[str, Any] = {}
        net: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        if self.ranges is not None:
            cell |= {"input_squash": self.ranges[0], "output_squash": self.ranges[1]}
        if self.recurrence == "cells":
            cell["gate_recurrence"] = False
        elif self.recurrence == "none":
            cell |= {"gate_recurrence": False, "recurrence": False}
        if self.loss is not None:
            net["loss"] = self.loss
        if self.output_activation is not None:
            net["output_activation"] = self.output_activation
        if self.cells_at_start:
            rest["cells_when_stalled"] = False
        for name in ("task", "learning_rate", "interval", "input_gate_bias", "output_gate_bias"):
            if getattr(self, name) is not None:
                rest[name] = getattr(self, name)
        topology = replace(setting.topology, cell=replace(setting.topology.cell, **cell), **net)
        return replace(setting, topology=topology, **rest)


READINGS: dict[str, dict[str, Change]] = {"best": {}, "today": {}}
"""By reading and row; a row that is not there is run as the text says, and nothing else."""


def setting_for(row: str, reading: str) -> Setting:
    """The setting of a row of LSTM under a reading."""
    setting = literal()[row]
    if reading == "literal":
        return setting
    if row not in READINGS[reading]:
        raise InputError(f"row {row!r} has no reading {reading!r} beside the literal one")
    return READINGS[reading][row].apply(setting)
