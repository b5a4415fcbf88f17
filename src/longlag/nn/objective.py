"""The narrow waist: what an optimiser knows of a learning problem, and nothing else."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from longlag.data.sequences import SequenceBatch

__all__ = ["Objective"]


class Objective(Protocol):
    """A function of one flat parameter vector ``theta`` (W,) on a batch of sequences."""

    def value(self, theta: Tensor, batch: SequenceBatch) -> float:
        """Return the loss of the batch at ``theta``."""
        ...

    def value_and_gradient(self, theta: Tensor, batch: SequenceBatch) -> tuple[float, Tensor]:
        """Return the loss and its gradient (W,)."""
        ...

    def curvature_product(self, theta: Tensor, v: Tensor, batch: SequenceBatch) -> Tensor:
        """Return the Gauss-Newton matrix at theta times ``v`` (W,)."""
        ...
