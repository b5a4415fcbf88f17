"""TrainingConfig: everything that decides what a training run computes. Plain data, written into the run record."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

from longlag.data.checks import is_number, is_whole
from longlag.errors import InputError
from longlag.gradients import RTRL, Backpropagation, GradientEngine, TruncatedBPTT
from longlag.ops.paths import FULL, TRUNCATED
from longlag.training.schedules import Schedule

__all__ = ["GradientName", "OptimizerName", "TrainingConfig"]

OptimizerName = Literal["sgd", "momentum", "adam", "adamw"]
GradientName = Literal["full", "truncated", "rtrl", "tbptt"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What a training run does.

    Parameters
    ----------
    optimizer : {"sgd", "momentum", "adam", "adamw"}
    learning_rate : Schedule or float
        Over the epochs.
    momentum, weight_decay : float
        For "momentum"; for every optimiser.
    max_epochs, batch_size : int
    bucket : bool
        Batches of sequences of similar length, so that little time goes into padding. The order of batches is random.
    gradient : {"full", "truncated", "rtrl", "tbptt"}
        "tbptt" updates the parameters after every window of ``k1`` steps, state carried.
    k1, k2 : int
        For "tbptt" only.
    clip_norm, clip_value : float or None
        Largest Euclidean norm of the whole gradient; largest absolute derivative. Value first, then norm.
    sharpness : Schedule, float or None
        The gates' slope alpha over the epochs; None leaves the cell's own.
    own_answers : Schedule or float
        Probability of feeding the network its own previous answers (0: teacher forcing, 1: free running).
    patience : int or None
        Stop after this many epochs without a better validation loss (training loss if there is no validation set).
    min_delta : float
        How much smaller counts as better.
    seed : int
        Decides batches, dropout and feeding.

    Raises
    ------
    InputError
        For a value that is out of range.
    """

    optimizer: OptimizerName = "adam"
    learning_rate: Schedule | float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    max_epochs: int = 100
    batch_size: int = 32
    bucket: bool = True
    gradient: GradientName = "full"
    k1: int | None = None
    k2: int | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    sharpness: Schedule | float | None = None
    own_answers: Schedule | float = 0.0
    patience: int | None = None
    min_delta: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (("optimizer", get_args(OptimizerName)), ("gradient", get_args(GradientName))):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(choices)}")
        for name in ("max_epochs", "batch_size", "k1", "k2", "patience"):
            value = getattr(self, name)
            if value is None and name in ("k1", "k2", "patience"):
                continue
            if not is_whole(value) or value < 1:
                raise InputError(f"{name} is {value!r}; expected a whole number of at least 1")
        if not is_whole(self.seed):
            raise InputError(f"seed is {self.seed!r}; expected a whole number")
        if not isinstance(self.bucket, bool):
            raise InputError(f"bucket is {self.bucket!r}; expected True or False")
        for name in ("clip_norm", "clip_value"):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and value > 0):
                raise InputError(f"{name} is {value!r}; expected a positive number")
        for name in ("momentum", "weight_decay", "min_delta"):
            value = getattr(self, name)
            if not (is_number(value) and value >= 0):
                raise InputError(f"{name} is {value!r}; expected a number of at least 0")
        for name in ("learning_rate", "sharpness"):
            schedule = getattr(self, name)
            if schedule is None and name == "sharpness":
                continue
            if not all(is_number(value) and value > 0 for value in _ends(schedule)):
                raise InputError(f"{name} is {schedule!r}; expected positive numbers")
        if not all(is_number(value) and 0 <= value <= 1 for value in _ends(self.own_answers)):
            raise InputError(f"own_answers is {self.own_answers!r}; expected probabilities between 0 and 1")
        given = (self.gradient == "tbptt", self.k1 is not None, self.k2 is not None)
        if any(given) and not all(given):
            raise InputError("k1 and k2 belong to gradient='tbptt'; expected all three or none of them")
        if self.feeds_own_answers and self.gradient != "full":
            raise InputError(f"own_answers with gradient={self.gradient!r}; feeding own answers needs gradient='full'")
        for name, value in vars(self).items():  # NumPy's numbers become plain ones, as the run record holds them
            if is_whole(value):
                object.__setattr__(self, name, int(value))
            elif is_number(value):
                object.__setattr__(self, name, float(value))

    @property
    def feeds_own_answers(self) -> bool:
        """Whether inputs are ever replaced by the network's own answers."""
        return any(value > 0 for value in _ends(self.own_answers))

    def engine(self) -> GradientEngine:
        """The gradient engine of this name."""
        if self.gradient == "tbptt":
            assert self.k1 is not None and self.k2 is not None
            return TruncatedBPTT(self.k1, self.k2)
        if self.gradient == "rtrl":
            return RTRL()
        return Backpropagation(TRUNCATED if self.gradient == "truncated" else FULL)

    def document(self) -> dict[str, Any]:
        """As plain JSON data."""
        return dataclasses.asdict(self)


def _ends(schedule: Schedule | float) -> list[float]:
    if isinstance(schedule, Schedule):
        return [schedule.at(0.0), schedule.at(1.0)]
    return [schedule]
