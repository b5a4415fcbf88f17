"""Losses over a SequenceBatch: an error at every step, and the weight each step has in the total."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from longlag.checks import is_number, one_of
from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError, InputTypeError, ShapeError
from longlag.nn.tensors import as_list, check_tensor

__all__ = ["CrossEntropy", "GaussianNLL", "Loss", "MeanSquaredError", "QuantileLoss", "Reduction", "SquaredError"]

Reduction = Literal["mean", "samples", "sum"]


class Loss(ABC):
    """``total = sum over steps and samples of weight * error``; every engine and every partition of it agrees.

    Parameters
    ----------
    reduction : {"mean", "samples", "sum"}
        "mean": the mean over samples of each sequence's mean over its own answers (batch paper, section 3.3: for
        continual prediction the gradient is also divided by each sequence's length). "samples": the mean over samples
        of the sum over answers. "sum": the plain sum. A sequence without an answer counts as a sample of error zero.
        A batch with ``sample_weight`` multiplies the errors of each sequence by its weight, whatever the reduction.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        one_of("reduction", reduction, get_args(Reduction))
        self.reduction = reduction

    @abstractmethod
    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the error of each answer, (...), from outputs (..., O) and their targets."""

    def outputs_for(self, targets: int) -> int:
        """Return how many network outputs this loss needs for ``targets`` target values."""
        return targets

    def for_curvature(self) -> Loss:
        """Return the loss whose second derivative by the outputs makes a Gauss-Newton matrix that is never negative.

        It is this loss, if its errors are convex in the outputs. For a likelihood that is not, it is the loss of the
        expected errors under the probabilities that the outputs state, whose second derivative is the Fisher
        information (Amari 1998).
        """
        return self

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """Refuse outputs and targets of real numbers that do not fit: PyTorch would stretch the one to the other."""
        if not targets.is_floating_point():
            raise InputError(f"{type(self).__name__} compares real numbers; the targets are {targets.dtype}")
        wanted = self.outputs_for(targets.shape[-1])
        if outputs.shape != (*targets.shape[:-1], wanted):
            raise InputError(
                f"{type(self).__name__} reads {wanted} outputs for targets of shape {tuple(targets.shape)}; "
                f"got outputs of shape {tuple(outputs.shape)}"
            )

    def weights(self, batch: SequenceBatch) -> Tensor:
        """Return the weight of each step in the total, (T, B); zero where there is no target.

        Each sequence's are multiplied by its weight, where the batch has ``sample_weight``.
        """
        weights = batch.target_mask.to(batch.inputs.dtype)
        if self.reduction == "mean":
            weights = weights / weights.sum(0).clamp(min=1.0)
        if batch.sample_weight is not None:
            weights = weights * batch.sample_weight.to(weights.dtype)
        return weights / max(len(batch), 1) if self.reduction != "sum" else weights

    def __call__(self, outputs: Tensor, batch: SequenceBatch, weights: Tensor | None = None) -> Tensor:
        """Return the total, a scalar. ``outputs`` (T, B, O); ``weights`` (T, B) replaces those of the batch.

        Where ``batch.target_mask`` is false, neither outputs nor targets are read: they may hold anything.

        Raises
        ------
        InputError
            When outputs or weights are no tensors, or do not fit the batch.
        """
        if not isinstance(batch, SequenceBatch):
            raise InputTypeError(f"batch is of type {type(batch).__name__}; expected a SequenceBatch")
        check_tensor("outputs", outputs)
        if outputs.shape[:-1] != batch.target_mask.shape:
            raise ShapeError(
                f"outputs have shape {tuple(outputs.shape)}; expected {tuple(batch.target_mask.shape)} and the outputs "
                f"of each step"
            )
        weights = self.weights(batch) if weights is None else weights
        mask = batch.target_mask
        return (weights[mask] * self.errors(outputs[mask], batch.targets[mask])).sum()


class SquaredError(Loss):
    """Half the squared error, summed over outputs: 1/2 sum_k (y_k - t_k)^2.

    Both papers' definition as far as gradients go (1997 paper, eqs A.14-A.17, where the factor 2 is dropped from the
    error signal; batch paper, section 3.2).
    """

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.check(outputs, targets)
        return 0.5 * (outputs - targets).square().sum(-1)


class MeanSquaredError(Loss):
    """The squared error, averaged over outputs."""

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.check(outputs, targets)
        return (outputs - targets).square().mean(-1)


class CrossEntropy(Loss):
    """Cross entropy of a softmax over the outputs; targets are class numbers (int64) or probabilities (T, B, K)."""

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if targets.is_floating_point():
            self.check(outputs, targets)
            return -(targets * torch.log_softmax(outputs, dim=-1)).sum(-1)
        if targets.dtype != torch.int64 or targets.shape != outputs.shape[:-1]:
            raise InputError(
                f"CrossEntropy reads class numbers (int64) of shape {tuple(outputs.shape[:-1])}, or probabilities; got "
                f"targets of shape {tuple(targets.shape)} and type {targets.dtype}"
            )
        logs = torch.log_softmax(outputs, dim=-1)
        try:
            return -logs.gather(-1, targets[..., None])[..., 0]
        except RuntimeError:  # looking at the targets before would cost each call a pass over them
            classes = outputs.shape[-1]
            raise InputError(
                f"CrossEntropy reads {classes} outputs: classes 0 to {classes - 1}; got targets from "
                f"{int(targets.min())} to {int(targets.max())}"
            ) from None


class GaussianNLL(Loss):
    """Negative log likelihood of a Gaussian per target, summed over targets. Outputs: K means, then K log deviations.

    The log deviation is bounded below by ``log(least_deviation)`` so that a single exact answer cannot pull the loss
    to minus infinity.
    """

    def __init__(self, reduction: Reduction = "mean", *, least_deviation: float = 1e-3) -> None:
        super().__init__(reduction)
        if not is_number(least_deviation) or least_deviation <= 0:
            raise InputError(f"least_deviation is {least_deviation!r}; expected a positive number")
        self.least_deviation = least_deviation

    def outputs_for(self, targets: int) -> int:
        return 2 * targets

    def moments(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and standard deviations, (..., K) each, in the targets' unit, from outputs (..., 2K)."""
        mean, log_deviation = outputs.chunk(2, dim=-1)
        return mean, self.least_deviation + log_deviation.exp()

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.check(outputs, targets)
        mean, deviation = self.moments(outputs)
        score = (targets - mean) / deviation
        return (0.5 * score.square() + deviation.log() + 0.5 * math.log(2 * math.pi)).sum(-1)

    def for_curvature(self) -> Loss:
        """Return the loss of the expected errors.

        Its second derivative is 1 / deviation^2 by a mean, 2 / deviation^2 by a deviation, and 0 between the two.
        """
        return _ExpectedGaussianNLL(self.reduction, least_deviation=self.least_deviation)


class _ExpectedGaussianNLL(GaussianNLL):
    """The expected errors of targets drawn from the Gaussians of the outputs, which are held constant."""

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.check(outputs, targets)
        mean, deviation = self.moments(outputs)
        square = (mean.detach() - mean).square() + deviation.detach().square()
        return (0.5 * square / deviation.square() + deviation.log() + 0.5 * math.log(2 * math.pi)).sum(-1)


class QuantileLoss(Loss):
    """Pinball loss of each quantile, summed. Outputs: for each of K targets its Q quantiles, targets outermost."""

    def __init__(self, quantiles: Sequence[float], reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        levels = as_list(quantiles)
        if not isinstance(levels, (list, tuple)) or not levels or not all(is_number(q) and 0 < q < 1 for q in levels):
            raise InputError(f"quantiles are {levels!r}; expected levels strictly between 0 and 1")
        self.quantiles = tuple(map(float, levels))

    def outputs_for(self, targets: int) -> int:
        return len(self.quantiles) * targets

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.check(outputs, targets)
        levels = outputs.new_tensor(self.quantiles)
        short = targets[..., None] - outputs.unflatten(-1, (-1, len(self.quantiles)))  # > 0: the quantile is too low
        return torch.maximum(levels * short, (levels - 1.0) * short).sum((-1, -2))
