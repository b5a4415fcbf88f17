"""First-order optimisers, which are torch.optim's: their options, and how one is made of them.

Learning rate and weight decay are not among the options: training schedules the one, and has both for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from longlag.checks import true_or_false
from longlag.optim import eager
from longlag.optim.checks import number, require

__all__ = ["AdamOptions", "AdamWOptions", "FirstOrder", "MomentumOptions", "SGDOptions"]


class FirstOrder(Protocol):
    """The options of a first-order optimiser: a frozen dataclass whose fields are numbers, bools, text or None."""

    def make(self, parameters: Iterable[Tensor], weight_decay: float) -> torch.optim.Optimizer:
        """Return the optimiser of these parameters. ``lr`` of its only group is set before each epoch."""
        ...


@dataclass(frozen=True)
class SGDOptions:
    """Stochastic gradient descent. It has no options besides learning rate and weight decay."""

    def make(self, parameters: Iterable[Tensor], weight_decay: float) -> torch.optim.Optimizer:
        """Return torch.optim.SGD without momentum."""
        return eager.SGD(parameters, lr=1.0, weight_decay=weight_decay)


@dataclass(frozen=True)
class MomentumOptions:
    """Gradient descent with momentum, as in ``torch.optim.SGD``.

    Parameters
    ----------
    momentum : float
        Share of the last change that is carried on.
    dampening : float
        Share of the gradient that is left out of the momentum.
    nesterov : bool
        Look ahead along the momentum; needs a momentum above 0 and no dampening.

    Raises
    ------
    InputError
        For a value that is out of range.
    """

    momentum: float = 0.9
    dampening: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        require("momentum", "momentum", self.momentum, 0 <= number(self.momentum) < math.inf, "a number of at least 0")
        require("momentum", "dampening", self.dampening, 0 <= number(self.dampening) <= 1, "a number from 0 to 1")
        true_or_false("momentum: nesterov", self.nesterov)
        can_look_ahead = self.momentum > 0 and self.dampening == 0
        expected = "False, or a momentum above 0 without dampening"
        require("momentum", "nesterov", self.nesterov, not self.nesterov or can_look_ahead, expected)

    def make(self, parameters: Iterable[Tensor], weight_decay: float) -> torch.optim.Optimizer:
        """Return torch.optim.SGD with momentum."""
        return eager.SGD(
            parameters,
            lr=1.0,
            momentum=self.momentum,
            dampening=self.dampening,
            nesterov=self.nesterov,
            weight_decay=weight_decay,
        )


@dataclass(frozen=True)
class AdamOptions:
    """Adam (Kingma & Ba 2015), as in ``torch.optim.Adam``.

    Parameters
    ----------
    beta1, beta2 : float
        Decay of the running means of the gradient and of its square, from 0 to below 1.
    eps : float
        What is added to the root of the mean square, at least 0.
    amsgrad : bool
        Divide by the largest mean square so far (Reddi et al. 2018).

    Raises
    ------
    InputError
        For a value that is out of range.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    amsgrad: bool = False

    def __post_init__(self) -> None:
        for name, value in (("beta1", self.beta1), ("beta2", self.beta2)):
            require("adam", name, value, 0 <= number(value) < 1, "a number of at least 0 and below 1")
        require("adam", "eps", self.eps, 0 <= number(self.eps) < math.inf, "a number of at least 0")
        true_or_false("adam: amsgrad", self.amsgrad)

    def make(self, parameters: Iterable[Tensor], weight_decay: float) -> torch.optim.Optimizer:
        """Return torch.optim.Adam: the decay of weights is added to the gradient."""
        return eager.Adam(
            parameters, betas=(self.beta1, self.beta2), eps=self.eps, amsgrad=self.amsgrad, weight_decay=weight_decay
        )


@dataclass(frozen=True)
class AdamWOptions(AdamOptions):
    """Adam whose weight decay shrinks the weights themselves (Loshchilov & Hutter 2019), as in ``torch.optim.AdamW``.

    Its options are those of Adam.
    """

    def make(self, parameters: Iterable[Tensor], weight_decay: float) -> torch.optim.Optimizer:
        """Return torch.optim.AdamW."""
        return eager.AdamW(
            parameters, betas=(self.beta1, self.beta2), eps=self.eps, amsgrad=self.amsgrad, weight_decay=weight_decay
        )
