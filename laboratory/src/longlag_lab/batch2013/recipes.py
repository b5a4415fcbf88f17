"""Recipes: how a network is trained in the experiments of the batch paper, first order and second order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.errors import DivergenceError
from longlag.gradients import NetworkObjective
from longlag.optim import Budget, Method, Record, Tolerances, growing, index_batches, minimise_batches

__all__ = ["Cost", "FirstOrder", "Look", "Recipe", "SecondOrder"]


@dataclass(frozen=True)
class Cost:
    """What training has cost so far.

    Parameters
    ----------
    evaluations : int
        Values, gradients and stored Jacobians that were computed.
    gradients : float
        Gradient equivalents (``optim.Evaluations``); products with a stored Jacobian are free.
    passes : float
        Gradient equivalents times the share of the training set that they took.
    """

    evaluations: int = 0
    gradients: float = 0.0
    passes: float = 0.0

    def __add__(self, more: Cost) -> Cost:
        return Cost(self.evaluations + more.evaluations, self.gradients + more.gradients, self.passes + more.passes)


Look = Callable[[Tensor, Cost], bool]
"""Gets the present weights and the cost now and then; training stops when it returns True."""


@dataclass(frozen=True, kw_only=True)
class SecondOrder:
    """A batch method on all of the training set, or on batches of it dealt out in random order.

    Parameters
    ----------
    method : Method
    batch : int, optional
        Sequences of the first batch; None: all, always.
    growth : float
        Each batch is longer than the one before by this factor.
    inner : int
        Iterations on a batch.
    evaluations : int
        Budget.
    """

    method: Method[Any]
    batch: int | None = None
    growth: float = 1.0
    inner: int = 1
    evaluations: int = 1500

    def most_evaluations(self, count: int) -> int:
        """Return how many evaluations training on ``count`` sequences may take."""
        return self.evaluations

    def train(self, objective: NetworkObjective, training: SequenceBatch, seed: int, look: Look) -> str:
        """Train until ``look`` says so or the budget is spent. Returns why training ended."""
        count, spent, before = len(training), 0.0, 0.0
        size = count

        def batches() -> Iterator[SequenceBatch]:
            nonlocal size
            if self.batch is None:
                yield training
                return
            sizes = growing(self.batch, self.growth, count)
            for chosen in index_batches(count, sizes, torch.Generator().manual_seed(seed)):
                size = len(chosen)
                yield training if size == count else training.select(chosen)

        def watch(record: Record, state: Any) -> bool:
            nonlocal spent, before
            now = record.evaluations.gradient_equivalents
            spent, before = spent + (now - before) * size / count, now
            return look(state.theta, Cost(record.evaluations.total, now, spent))

        inner = self.inner if self.batch is not None else self.evaluations
        result = minimise_batches(
            self.method,
            objective,
            objective.theta,
            batches(),
            inner_iterations=inner,
            budget=Budget(evaluations=self.evaluations),
            tolerances=Tolerances(0.0, 0.0),
            callback=watch,
        )
        return result.reason


@dataclass(frozen=True, kw_only=True)
class FirstOrder:
    """Gradient descent with momentum, or Adam, on mini-batches dealt out anew in each epoch.

    Parameters
    ----------
    kind : {"momentum", "adam"}
    learning_rate, momentum : float
        The paper's (section 5.2).
    batch : int
        Sequences of an update.
    passes : int
        Epochs at most.
    every : int
        Sequences between two looks.
    clip : float, optional
        Largest norm of a gradient.
    """

    kind: Literal["momentum", "adam"] = "momentum"
    learning_rate: float = 0.1
    momentum: float = 0.9
    batch: int = 100
    passes: int = 100
    every: int = 1000
    clip: float | None = None

    def most_evaluations(self, count: int) -> int:
        """Return how many evaluations training on ``count`` sequences may take."""
        return math.ceil(self.passes * count / self.batch)

    def train(self, objective: NetworkObjective, training: SequenceBatch, seed: int, look: Look) -> str:
        """Train until ``look`` says so, all passes are made, or the loss is not finite. Returns which of them."""
        theta, count = objective.theta.requires_grad_(), len(training)
        if self.kind == "adam":
            optimizer: torch.optim.Optimizer = torch.optim.Adam([theta], lr=self.learning_rate)
        else:
            optimizer = torch.optim.SGD([theta], lr=self.learning_rate, momentum=self.momentum)
        updates = self.most_evaluations(count)
        between = max(1, self.every // self.batch)
        sizes = itertools.repeat(self.batch, updates)
        for update, chosen in enumerate(index_batches(count, sizes, torch.Generator().manual_seed(seed)), 1):
            try:
                value, gradient = objective.value_and_gradient(theta.detach(), training.select(chosen))
            except DivergenceError as error:
                return str(error)
            if not math.isfinite(value) or not bool(gradient.isfinite().all()):
                return f"the loss is not finite in update {update}"
            theta.grad = gradient
            if self.clip is not None:
                torch.nn.utils.clip_grad_norm_([theta], self.clip)
            optimizer.step()
            cost = Cost(update, update, update * self.batch / count)
            if (update % between == 0 or update == updates) and look(theta.detach().clone(), cost):
                return "it was told to stop"
        return f"all {self.passes} passes were made"


Recipe = SecondOrder | FirstOrder
