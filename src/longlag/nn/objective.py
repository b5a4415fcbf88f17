"""The narrow waist: what an optimiser knows of a learning problem, and nothing else."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from longlag.data.sequences import SequenceBatch

__all__ = ["Objective"]


class Objective(Protocol):
    """A function of one flat parameter vector ``theta`` (W,) on a set of samples."""

    def value(self, theta: Tensor, samples: SequenceBatch) -> float:
        """The loss."""
        ...

    def value_and_gradient(self, theta: Tensor, samples: SequenceBatch) -> tuple[float, Tensor]:
        """The loss, and its gradient (W,)."""
        ...

    def curvature_product(self, theta: Tensor, v: Tensor, samples: SequenceBatch) -> Tensor:
        """The Gauss-Newton matrix at theta times ``v`` (W,)."""
        ...
