"""How a training ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["TrainingResult"]


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    reason : "max_epochs" or "patience"; "callback" if one asked to stop; on all the data a batch method may also end
    because it has "converged" (no derivative is larger than 1e-5) or "stalled" (no lower point, or the loss fell by
    less than 1e-9), see ``longlag.optim.Tolerances``. epochs : epochs trained. best_epoch : the epoch whose parameters
    the network now has, counted from 1; 0 is the start, where no epoch was better. history : one entry per epoch.
    """

    reason: str
    epochs: int
    best_epoch: int
    history: list[dict[str, Any]]
