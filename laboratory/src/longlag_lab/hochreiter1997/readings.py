"""Readings: each row as the text says, and, where that misses the paper's counts, as it fits them best.

docs/readings-1997.md says what was tried. A reading that was chosen after its results were seen is weaker evidence than
one that was not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from longlag.cell import Squash
from longlag.errors import InputError
from longlag.online.streams import Update
from longlag.online.topology import Loss, Topology
from longlag.tasks import (
    Adding,
    Counting,
    EmbeddedReber,
    Multiplication,
    NoRegularityLag,
    Task,
    TemporalOrder,
    TwoSequence,
)
from longlag_lab.hochreiter1997.late import LateBias
from longlag_lab.hochreiter1997.limits import LIMITS
from longlag_lab.hochreiter1997.modern import Modern
from longlag_lab.hochreiter1997.rows import literal
from longlag_lab.hochreiter1997.setting import Setting

__all__ = ["BEST", "READINGS", "TODAY", "Change", "setting_for"]


_SAME = (
    "task",
    "learning_rate",
    "interval",
    "input_gate_bias",
    "output_gate_bias",
    "update",
    "new_test_sets",
    "late_biases",
    "wide",
)  # fields of Change that are fields of Setting


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
    update: Update | None = None
    new_test_sets: bool | None = None
    late_biases: bool | None = None
    wide: bool | None = None

    def apply(self, setting: Setting) -> Setting:
        """The setting under this reading."""
        assert isinstance(setting.topology, Topology)
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
        if self.late_biases:
            task = setting.task
            assert isinstance(task, TwoSequence)
            rest["task"] = LateBias(variant=task.variant, T=task.T, N=task.N)
            net |= {"input_size": rest["task"].input_size, "bias": False}
        for name in _SAME:
            if getattr(self, name) is not None:
                rest[name] = getattr(self, name)
        topology = replace(setting.topology, cell=replace(setting.topology.cell, **cell), **net)
        return replace(setting, topology=topology, **rest)


_LINEAR = Change(why="output unit linear", output_activation="identity")
_LINEAR_SILENT = Change(
    why="output unit linear; hidden units read nothing of each other", output_activation="identity", recurrence="none"
)
_SILENT = Change(why="hidden units read nothing of each other", recurrence="none")
_NO_SLOPE = Change(why="the output error is t - y, without the slope of the output unit", loss="cross_entropy")
_NEW_SETS = Change(why="each look is at a new test set of 256 sequences", new_test_sets=True)
_LATE_BIASES = replace(
    _NEW_SETS,
    why=f"{_NEW_SETS.why}; the bias unit is reset to zero like all others, so that biases act from the second step on",
    late_biases=True,
)
_WIDE = Change(why="g and h both in [-2, 2]", ranges=("logistic_pm2", "logistic_pm2"))
_SWAPPED = Change(why="g in [-1, 1], h in [-2, 2], as under Table 10", ranges=("logistic_pm1", "logistic_pm2"))
_SWAPPED_NO_SLOPE = replace(_SWAPPED, why=f"{_SWAPPED.why}; {_NO_SLOPE.why}", loss="cross_entropy")

BEST: dict[str, Change] = {
    "1-1": _SWAPPED,
    "1-2": _SWAPPED_NO_SLOPE,
    "1-3": _WIDE,
    "1-4": _WIDE,
    "1-5": _SWAPPED,
    "2a": replace(_NO_SLOPE, why=f"{_NO_SLOPE.why}; the cell is there from the start", cells_at_start=True),
    "2b": replace(
        _NO_SLOPE,
        why=f"{_NO_SLOPE.why}; the cell is there from the start; errors at sequence ends only",
        cells_at_start=True,
        task=NoRegularityLag(error_signals="end"),
    ),
    **{f"2c-{n}": _SILENT for n in range(1, 10)},
    "3a-1": _NEW_SETS,
    "3a-3": _SWAPPED,
    "3b-2": _NEW_SETS,
    "3b-3": _LATE_BIASES,
    "3c-1": _WIDE,
    "4-1": _LINEAR,
    "4-2": _LINEAR_SILENT,
    "4-3": _LINEAR_SILENT,
    "5-1": _NO_SLOPE,
    "5-2": _NO_SLOPE,
    "6a": _SWAPPED,
    "6b": replace(_NO_SLOPE, why=f"{_NO_SLOPE.why}; gate units are not sources of hidden units", recurrence="cells"),
}
"""The reading that fits best, for rows that the literal one misses."""

_ADAM = "Adam, full gradient, fresh batches, forget gates with chrono initialisation"
_FAST_SILENT = Change(
    why="online; hidden units read nothing of each other; cross entropy; rate 0.04",
    recurrence="none",
    loss="cross_entropy",
    learning_rate=0.04,
)

TODAY: dict[str, Change | Modern] = {
    "1-5": Modern(why=_ADAM, task=EmbeddedReber(), stop="all", hidden_size=20, batch=5, classes=True, longest=40),
    **{f"2c-{n}": _FAST_SILENT for n in (1, 2, 3)},
    "3a-1": Modern(why=_ADAM, task=TwoSequence(variant="a", T=100, N=3), stop="ST2", hidden_size=4, classes=True),
    "3a-2": Modern(why=_ADAM, task=TwoSequence(variant="a", T=100, N=1), stop="ST2", hidden_size=4, classes=True),
    "3b-1": Modern(why=_ADAM, task=TwoSequence(variant="b", T=100, N=3), stop="ST2", hidden_size=4, classes=True),
    "3b-2": Modern(why=_ADAM, task=TwoSequence(variant="b", T=100, N=1), stop="ST2", hidden_size=4, classes=True),
    "3c-1": Modern(why=_ADAM, task=TwoSequence(variant="c", T=100, N=3), stop="ST2", hidden_size=4),
    "3c-2": Modern(why=_ADAM, task=TwoSequence(variant="c", T=100, N=1), stop="ST2", hidden_size=4),
    "4-1": Modern(why=_ADAM, task=Adding(T=100), stop="ST3"),
    "4-2": Modern(why=_ADAM, task=Adding(T=500), stop="ST3", batch=20, longest=500),
    "4-3": Modern(why=_ADAM, task=Adding(T=1000), stop="ST3", batch=20, longest=1000),
    "5-1": Modern(why=_ADAM, task=Multiplication(), stop="nseq140", batch=20),
    "5-2": Modern(why=_ADAM, task=Multiplication(), stop="nseq13", batch=20),
    "count-3-11": Modern(why=_ADAM, task=Counting(short=3, long=11), stop="ST1", classes=True, longest=20),
    "count-99-100": Modern(why=_ADAM, task=Counting(short=99, long=100), stop="ST1", classes=True),
    "6a": Modern(why=_ADAM, task=TemporalOrder(relevant=2), stop="ST3", hidden_size=12, classes=True),
    "6b": Modern(why=_ADAM, task=TemporalOrder(relevant=3), stop="ST3", hidden_size=32, classes=True),
}
"""The fewest sequences with which a method of this library solves a row, as far as was tried."""

READINGS: Mapping[str, Mapping[str, Change | Modern]] = {"best": BEST, "today": TODAY}


def setting_for(row: str, reading: str) -> Setting | Modern:
    """What a row of LSTM is run with under a reading."""
    setting = LIMITS[row] if row in LIMITS else literal()[row]
    if reading == "literal":
        return setting
    if row not in READINGS[reading]:
        raise InputError(f"row {row!r} has no reading {reading!r} beside the literal one")
    change = READINGS[reading][row]
    if isinstance(change, Modern):
        return change
    assert isinstance(setting, Setting)
    return change.apply(setting)
