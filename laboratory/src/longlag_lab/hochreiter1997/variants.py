"""Variants of a row: as the text reads, as it fits the paper's counts best, and as it would be done today.

docs/readings-1997.md says which readings of the text were tried. One that was chosen after its results were seen is
weaker evidence than one that was not.
"""

from __future__ import annotations

import functools
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
from longlag_lab.hochreiter1997.adam_reference import AdamReference
from longlag_lab.hochreiter1997.config import TrialConfig
from longlag_lab.hochreiter1997.configs import literal
from longlag_lab.hochreiter1997.delayed_bias import DelayedBias
from longlag_lab.hochreiter1997.limits import LIMITS

__all__ = ["BEST", "TODAY", "VARIANTS", "Change", "config_for"]


_SHARED_FIELDS = (
    "task",
    "learning_rate",
    "interval",
    "input_gate_bias",
    "output_gate_bias",
    "update",
    "new_test_sets",
    "delayed_biases",
    "wide",
)
"""Fields of Change that replace the field of TrialConfig with the same name."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a variant changes of the literal configuration; None and False: nothing. ``why`` says so in words."""

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
    delayed_biases: bool | None = None
    wide: bool | None = None

    def apply(self, config: TrialConfig) -> TrialConfig:
        """Return the configuration with these changes."""
        assert isinstance(config.topology, Topology)
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
        if self.delayed_biases:
            task = config.task
            assert isinstance(task, TwoSequence)
            rest["task"] = DelayedBias(variant=task.variant, T=task.T, N=task.N)
            net |= {"input_size": rest["task"].input_size, "bias": False}
        for name in _SHARED_FIELDS:
            if getattr(self, name) is not None:
                rest[name] = getattr(self, name)
        topology = replace(config.topology, cell=replace(config.topology.cell, **cell), **net)
        return replace(config, topology=topology, **rest)


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
    delayed_biases=True,
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
"""The reading that fits the paper's counts best, for rows in which the literal one misses them."""

_FAST_SILENT = Change(
    why="online; hidden units read nothing of each other; cross entropy; rate 0.04",
    recurrence="none",
    loss="cross_entropy",
    learning_rate=0.04,
)

_adam = functools.partial(
    AdamReference, why="Adam, full gradient, fresh batches, forget gates with chrono initialisation"
)

TODAY: dict[str, Change | AdamReference] = {
    "1-5": _adam(task=EmbeddedReber(), stop="all", hidden_size=20, batch=5, classes=True, longest=40),
    **{f"2c-{n}": _FAST_SILENT for n in (1, 2, 3)},
    "3a-1": _adam(task=TwoSequence(variant="a", T=100, N=3), stop="ST2", hidden_size=4, classes=True),
    "3a-2": _adam(task=TwoSequence(variant="a", T=100, N=1), stop="ST2", hidden_size=4, classes=True),
    "3b-1": _adam(task=TwoSequence(variant="b", T=100, N=3), stop="ST2", hidden_size=4, classes=True),
    "3b-2": _adam(task=TwoSequence(variant="b", T=100, N=1), stop="ST2", hidden_size=4, classes=True),
    "3c-1": _adam(task=TwoSequence(variant="c", T=100, N=3), stop="ST2", hidden_size=4),
    "3c-2": _adam(task=TwoSequence(variant="c", T=100, N=1), stop="ST2", hidden_size=4),
    "4-1": _adam(task=Adding(T=100), stop="ST3"),
    "4-2": _adam(task=Adding(T=500), stop="ST3", batch=20, longest=500),
    "4-3": _adam(task=Adding(T=1000), stop="ST3", batch=20, longest=1000),
    "5-1": _adam(task=Multiplication(), stop="nseq140", batch=20),
    "5-2": _adam(task=Multiplication(), stop="nseq13", batch=20),
    "count-3-11": _adam(task=Counting(short=3, long=11), stop="ST1", classes=True, longest=20),
    "count-99-100": _adam(task=Counting(short=99, long=100), stop="ST1", classes=True),
    "6a": _adam(task=TemporalOrder(relevant=2), stop="ST3", hidden_size=12, classes=True),
    "6b": _adam(task=TemporalOrder(relevant=3), stop="ST3", hidden_size=32, classes=True),
}
"""The method of this library that solves a row with the fewest sequences, of those that were tried."""

VARIANTS: Mapping[str, Mapping[str, Change | AdamReference]] = {"best": BEST, "today": TODAY}


def config_for(row: str, variant: str) -> TrialConfig | AdamReference:
    """Return the configuration of a row of LSTM under a variant. InputError if the row does not have the variant."""
    config = LIMITS[row] if row in LIMITS else literal()[row]
    if variant == "literal":
        return config
    if row not in VARIANTS[variant]:
        raise InputError(f"row {row!r} has no reading {variant!r} beside the literal one")
    change = VARIANTS[variant][row]
    if isinstance(change, AdamReference):
        return change
    assert isinstance(config, TrialConfig)
    return change.apply(config)
