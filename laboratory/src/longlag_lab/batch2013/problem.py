"""The problems of the batch paper (section 5.1; the supplement's delayed XOR) and the network that is to solve them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from longlag.cell import CellSpec, Squash
from longlag.data.sequences import SequenceBatch
from longlag.gradients import Backpropagation, NetworkObjective
from longlag.nn import LSTM, Network, SquaredError
from longlag.nn.init import chrono_, hochreiter1997_
from longlag.ops.paths import FULL, TRUNCATED
from longlag.tasks import Multiplication, Task

__all__ = ["Data", "Problem"]


@dataclass(frozen=True)
class Data:
    """The sequences of one trial."""

    training: SequenceBatch
    validation: SequenceBatch
    test: SequenceBatch


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A task, how much of it is seen, and the network: blocks of 2 cells, peepholes, densely connected gates.

    Parameters
    ----------
    task : Task
        One answer, at the end of each sequence.
    training, validation, test : int
        Sequences of each, drawn anew for every trial. The paper stops by the test set and has no validation set.
    blocks : int
    sharpness : float
        alpha, the slope of the gates.
    input_gate_bias : float
        Where the biases of the input gates start.
    interval : float
        All other weights start uniformly in [-interval, interval].
    chrono : bool
        Forget gates, and biases of forget and input gates for memories of every length up to the sequences'.
    output_activation : str
    dtype : torch.dtype
    gradient : {"full", "truncated"}
        The paths the error takes.
    starts : int
        First weights that are tried, one after the other, each when the recipe has ended with those before.
    judged : {"error", "wrong"}
        Solved when the mean absolute error, or the share of sequences off by the task's tolerance or more, is below
        ``below``.
    """

    task: Task = field(default_factory=lambda: Multiplication(T=100))
    training: int = 10_000
    validation: int = 1_000
    test: int = 3_000
    blocks: int = 2
    sharpness: float = 2.0
    input_gate_bias: float = -2.0
    interval: float = 0.1
    chrono: bool = False
    output_activation: Squash = "logistic"
    dtype: torch.dtype = torch.float64
    gradient: Literal["full", "truncated"] = "full"
    starts: int = 1
    judged: Literal["error", "wrong"] = "error"
    below: float = 0.01

    def draw(self, seed: np.random.SeedSequence) -> Data:
        """Draw the sequences of a trial."""
        rng = np.random.default_rng(seed)
        sizes = (self.training, self.validation, self.test)
        return Data(*(self.task.sample(size, rng).to(dtype=self.dtype) for size in sizes))

    def network(self, seed: int) -> Network:
        """Return the network before training, of 101 weights for two inputs, two blocks and one output."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            cell = CellSpec.batch2013(sharpness=self.sharpness, forget_gate=self.chrono)
            lstm = LSTM(self.task.input_size, 2 * self.blocks, cell=cell, dtype=torch.float64)
            network = Network(lstm, self.task.output_size, output_activation=self.output_activation).double()
            hochreiter1997_(lstm, self.interval, input_gate_bias=[self.input_gate_bias] * self.blocks)
            if self.chrono:
                chrono_(lstm, longest=getattr(self.task, "T", 100))
            for weight in network.readout.parameters():
                torch.nn.init.uniform_(weight, -self.interval, self.interval)
        return network.to(self.dtype)

    def objective(self, seed: int) -> NetworkObjective:
        """Return the objective: half the squared error at the end of each sequence, averaged over sequences."""
        paths = FULL if self.gradient == "full" else TRUNCATED
        return NetworkObjective(self.network(seed), SquaredError(), Backpropagation(paths))

    @torch.no_grad()
    def error(self, objective: NetworkObjective, theta: Tensor, samples: SequenceBatch) -> float:
        """Return the error, or the share of wrong sequences, that has to fall below ``below``."""
        objective.assign(theta)
        outputs = objective.network.respond(samples)[0]
        mask = samples.target_mask
        errors = (outputs[mask] - samples.targets[mask]).abs()
        if self.judged == "error":
            return float(errors.mean())
        return float((~(errors < self.task.tolerance)).any(-1).double().mean())
