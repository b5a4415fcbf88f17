"""What optimisers answer: why they stopped, where, and how they got there."""

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

    moved : theta was changed; step : the length of its change; inner : points of the line search, CG iterations or
    trials; damping : lambda of the iteration, where there is one; note : what was out of the ordinary; stop : set when
    no further iteration makes sense.
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

    gradient_norm is the largest absolute derivative (NaN when the budget ended before the gradient), evaluations those
    up to here; the rest as in ``Outcome``.
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
