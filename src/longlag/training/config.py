"""TrainingConfig: everything that decides what a training run computes. Plain data, written into the run record."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from longlag.checks import is_number, is_whole
from longlag.errors import InputError
from longlag.gradients import RTRL, Backpropagation, GradientEngine, TruncatedBPTT
from longlag.ops.paths import FULL, TRUNCATED
from longlag.training.schedules import Schedule

__all__ = ["FIRST_ORDER", "GradientName", "MethodName", "OptimizerName", "TrainingConfig", "is_method"]

FirstOrderName = Literal["sgd", "momentum", "adam", "adamw"]
MethodName = Literal["lbfgs", "cg", "hessian_free", "levenberg_marquardt"]
OptimizerName = Literal[FirstOrderName, MethodName]
GradientName = Literal["full", "truncated", "rtrl", "tbptt"]

FIRST_ORDER = "sgd, momentum, adam or adamw"
"""In the words of a refusal."""

_PATHS = {None: None, "full": FULL, "truncated": TRUNCATED}

# What None stands for.
LEARNING_RATE, MOMENTUM, BATCH_SIZE = 1e-3, 0.9, 32
CURVATURE_BATCH = 1000  # sequences that a Gauss-Newton matrix is taken on at most
INNER_ITERATIONS = 20  # of L-BFGS and CG on a mini-batch (batch paper, section 4)


def is_method(optimizer: object) -> bool:
    """Whether this is the name of a batch method, one of ``longlag.optim``."""
    return optimizer in get_args(MethodName)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What a training run does.

    The batch methods, "lbfgs", "cg", "hessian_free" and "levenberg_marquardt", are those of ``longlag.optim`` with
    their defaults. They minimise the loss of a batch, find the length of a step themselves, and need a loss that
    repeats and its own gradient; an option that they do not use is refused.

    Parameters
    ----------
    optimizer : {"sgd", "momentum", "adam", "adamw", "lbfgs", "cg", "hessian_free", "levenberg_marquardt"}
    learning_rate : Schedule, float or None
        Over the epochs; None: 0.001. Batch methods take none.
    momentum : float or None
        For "momentum" alone; None: 0.9.
    weight_decay : float
        Batch methods take none.
    max_epochs : int
    batch_size : int or None
        Sequences of a batch. None: 32; all of them for "lbfgs" and "cg"; all of up to 1,000 for "hessian_free"
        and "levenberg_marquardt", of more as few equal batches of no more than 1,000 as there can be.
    inner_iterations : int or None
        Outer iterations of a batch method on each batch. None: 1; 20 for "lbfgs" and "cg" on mini-batches (batch paper,
        section 4). Between batches L-BFGS and CG forget what they learned, Hessian-free and Levenberg-Marquardt keep
        their damping; where a batch is all the data nothing is forgotten from epoch to epoch.
    bucket : bool
        Batches of sequences of similar length, so that little time goes into padding. The order of batches is random.
    gradient : {"full", "truncated", "rtrl", "tbptt"} or None
        None: that of the layer, ``LSTM(gradient=...)``. "full" is refused for a layer whose own gradient is truncated.
        "tbptt" updates the parameters after every window of ``k1`` steps, state carried; it and "rtrl" follow the
        layer's paths. Batch methods take "full" and "rtrl".
    k1, k2 : int
        For "tbptt" only.
    clip_norm, clip_value : float or None
        Largest Euclidean norm of the whole gradient; largest absolute derivative. Value first, then norm. Batch methods
        take none.
    sharpness : Schedule, float or None
        The gates' slope alpha over the epochs; None leaves the cell's own. A batch method begins anew when it changes.
    own_answers : Schedule or float
        Probability of feeding the network its own previous answers (0: teacher forcing, 1: free running). Batch
        methods take 0.
    patience : int or None
        Stop after this many epochs without a better validation loss (training loss if there is no validation set).
    min_delta : float
        How much smaller counts as better.
    seed : int
        Decides batches, dropout and feeding.

    Raises
    ------
    InputError
        For a value that is out of range, or an option that the optimiser does not use.
    """

    optimizer: OptimizerName = "adam"
    learning_rate: Schedule | float | None = None
    momentum: float | None = None
    weight_decay: float = 0.0
    max_epochs: int = 100
    batch_size: int | None = None
    inner_iterations: int | None = None
    bucket: bool = True
    gradient: GradientName | None = None
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
        for name, choices in (("optimizer", get_args(OptimizerName)), ("gradient", (None, *get_args(GradientName)))):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} is {getattr(self, name)!r}; expected one of {', '.join(filter(None, choices))}"
                )
        for name in ("max_epochs", "batch_size", "inner_iterations", "k1", "k2", "patience"):
            value = getattr(self, name)
            if value is None and name != "max_epochs":
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
            if value is None and name == "momentum":
                continue
            if not (is_number(value) and value >= 0):
                raise InputError(f"{name} is {value!r}; expected a number of at least 0")
        for name in ("learning_rate", "sharpness"):
            schedule = getattr(self, name)
            if schedule is not None and not all(is_number(value) and value > 0 for value in _ends(schedule)):
                raise InputError(f"{name} is {schedule!r}; expected positive numbers")
        if not all(is_number(value) and 0 <= value <= 1 for value in _ends(self.own_answers)):
            raise InputError(f"own_answers is {self.own_answers!r}; expected probabilities between 0 and 1")
        given = (self.gradient == "tbptt", self.k1 is not None, self.k2 is not None)
        if any(given) and not all(given):
            raise InputError("k1 and k2 belong to gradient='tbptt'; expected all three or none of them")
        if self.feeds_own_answers and self.gradient not in (None, "full"):
            raise InputError(f"own_answers with gradient={self.gradient!r}; feeding own answers needs gradient='full'")
        self._refuse_what_is_not_used()
        for name, value in vars(self).items():  # NumPy's numbers become plain ones, as the run record holds them
            if is_whole(value):
                object.__setattr__(self, name, int(value))
            elif is_number(value):
                object.__setattr__(self, name, float(value))

    @property
    def feeds_own_answers(self) -> bool:
        """Whether inputs are ever replaced by the network's own answers."""
        return any(value > 0 for value in _ends(self.own_answers))

    @property
    def is_method(self) -> bool:
        """Whether the optimiser is a batch method."""
        return is_method(self.optimizer)

    def resolved(self, sequences: int, layer_gradient: GradientName = "full") -> TrainingConfig:
        """The same for data of so many sequences, at least one, with what None stands for in its place.

        ``layer_gradient`` is the ``gradient`` of the layer that is trained. Raises InputError where it contradicts this
        configuration's.
        """
        if self.gradient == "full" and layer_gradient != "full":
            raise InputError(
                f"the configuration has gradient='full', but the layer has gradient={layer_gradient!r}; "
                "expected the same of both, or None in the configuration"
            )
        own: dict[str, Any] = {"gradient": layer_gradient}
        if self.is_method:
            own["batch_size"] = size = self._method_batch(sequences) if self.batch_size is None else self.batch_size
            many = self.optimizer in ("lbfgs", "cg") and size < sequences
            own["inner_iterations"] = INNER_ITERATIONS if many else 1
        else:
            own |= {"learning_rate": LEARNING_RATE, "batch_size": BATCH_SIZE}
        if self.optimizer == "momentum":
            own["momentum"] = MOMENTUM
        return dataclasses.replace(self, **{name: v for name, v in own.items() if getattr(self, name) is None})

    def _method_batch(self, sequences: int) -> int:
        if self.optimizer in ("lbfgs", "cg"):
            return sequences
        # Equal batches: a few sequences left over would say nothing about the others.
        return math.ceil(sequences / math.ceil(sequences / CURVATURE_BATCH))

    def _refuse_what_is_not_used(self) -> None:
        if self.momentum is not None and self.optimizer != "momentum":
            raise InputError(f"momentum with optimizer={self.optimizer!r}; expected it with optimizer='momentum' alone")
        if not self.is_method:
            if self.inner_iterations is not None:
                raise InputError(
                    f"inner_iterations with optimizer={self.optimizer!r}, which makes one update for each batch; "
                    f"expected it with {', '.join(get_args(MethodName)[:-1])} or {get_args(MethodName)[-1]}"
                )
            return
        names = ("learning_rate", "weight_decay", "clip_norm", "clip_value")
        given = [name for name in names if getattr(self, name) not in (None, 0.0)]
        if given:
            raise InputError(
                f"optimizer={self.optimizer!r} uses no {' and no '.join(given)}; expected "
                f"{'that' if len(given) == 1 else 'these'} with {FIRST_ORDER} alone"
            )
        if self.gradient in ("truncated", "tbptt"):
            raise InputError(
                f"optimizer={self.optimizer!r} needs the gradient of the loss it minimises, which "
                f"gradient={self.gradient!r} is not; expected gradient='full' or 'rtrl', or {FIRST_ORDER}"
            )
        if self.feeds_own_answers:
            raise InputError(
                f"optimizer={self.optimizer!r} needs a loss that repeats, and own_answers are drawn at random; "
                f"expected own_answers=0, or {FIRST_ORDER}"
            )

    def engine(self) -> GradientEngine:
        """The gradient engine of this name."""
        if self.gradient == "tbptt":
            assert self.k1 is not None and self.k2 is not None
            return TruncatedBPTT(self.k1, self.k2)
        if self.gradient == "rtrl":
            return RTRL()
        return Backpropagation(_PATHS[self.gradient])

    def document(self) -> dict[str, Any]:
        """As plain JSON data."""
        return dataclasses.asdict(self)


def _ends(schedule: Schedule | float) -> list[float]:
    if isinstance(schedule, Schedule):
        return [schedule.at(0.0), schedule.at(1.0)]
    return [schedule]
