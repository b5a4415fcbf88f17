"""What a trial is run with. Pure data: task, network, first weights, learning rate, and when it is checked."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from longlag.online.streams import Update
from longlag.online.topology import Topology
from longlag.tasks import Rule, Task
from longlag_lab.competitors.topology import ChunkerTopology, Method, RecurrentTopology

__all__ = ["AnyTopology", "TrialConfig"]

AnyTopology = Topology | RecurrentTopology | ChunkerTopology


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One learner on one task.

    Parameters
    ----------
    task : Task
    topology : Topology, RecurrentTopology or ChunkerTopology
    learning_rate : float
    interval : float
        Weights start uniformly in [-interval, interval] (Table 11, column 3).
    input_gate_bias, output_gate_bias : tuple of float, optional
        The first biases, block by block (Table 10, columns 10 and 11); None: random.
    delayed_biases : bool
        Hidden units have their biases as weights from the last input, which is 0 at the first step and then 1.
    update : {"step", "sequence"}
        When weights change.
    stop : str
        The rule that ends a trial as solved; a name of ``task.rules``.
    also : tuple of str
        Further rules of the task; the moment at which each first holds is noted.
    check_every : int
        How many sequences are read between two looks at a test set.
    test_size : int
        How many fresh sequences a solved trial is tested on; 0: none.
    cells_when_stalled : bool
        Start without memory cells, and add them when the error has stopped decreasing (section 4.7).
    new_test_sets : bool
        Draw the test set anew for every look at it (tasks 3), instead of once.
    wide : bool
        Compute in float64.
    method : {"rtrl", "bptt", "elman"}
        How plain recurrent nets learn.
    """

    task: Task
    topology: AnyTopology
    learning_rate: float
    interval: float
    input_gate_bias: tuple[float, ...] | None = None
    output_gate_bias: tuple[float, ...] | None = None
    delayed_biases: bool = False
    update: Update = "step"
    stop: str
    also: tuple[str, ...] = ()
    check_every: int = 100
    test_size: int = 2560
    cells_when_stalled: bool = False
    new_test_sets: bool = False
    wide: bool = False
    method: Method = "rtrl"

    @functools.cached_property
    def every_step(self) -> bool:
        """Whether the task has a target at each step."""
        return self.task.draw(1, np.random.default_rng(0)).every_step

    @property
    def rule(self) -> Rule:
        """The rule that ends a trial."""
        return self.task.rules[self.stop]
