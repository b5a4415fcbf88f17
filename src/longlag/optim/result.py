"""What optimisers return: where they stopped and why, and the history of their iterations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from longlag.optim.counting import Evaluations

__all__ = ["Outcome", "Record", "Result", "Status", "Stop"]

Status = Literal["converged", "budget", "stalled", "stopped"]
"""converged: the gradient vanished; budget: evaluations, products, iterations or batches were used up; stalled: no
more progress; stopped: the callback said so."""


@dataclass(frozen=True)
class Stop:
    """The end of an optimisation, and the reason for it in a sentence."""

    status: Status
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What one outer iteration did.

    moved : whether theta was changed. step : the length of its change.
    inner : points of the line search, CG iterations or trials.
    damping : lambda of the iteration, where the method has one.
    note : what was out of the ordinary. stop : set when no further iteration makes sense.
    """

    moved: bool
    step: float
    inner: int
    damping: float | None = None
    note: str = ""
    stop: Stop | None = None


@dataclass(frozen=True)
class Record:
    """One outer iteration in the history.

    value : f after the iteration. gradient_norm : its largest absolute derivative there, NaN where the budget ended
    before the gradient. evaluations : those up to the end of the iteration. The other fields are those of ``Outcome``.
    """

    iteration: int
    value: float
    gradient_norm: float
    step: float
    evaluations: Evaluations
    inner: int
    damping: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Result:
    """Where an optimisation ended: theta (W,), the value there, why, at what cost, and each iteration."""

    theta: Tensor
    value: float
    status: Status
    reason: str
    evaluations: Evaluations
    history: tuple[Record, ...] = field(repr=False)
