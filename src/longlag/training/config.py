"""TrainingConfig: everything that decides what a training run computes. Plain data, written into the run record."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from longlag.checks import is_number, is_whole
from longlag.errors import InputError
from longlag.gradients import RTRL, Backpropagation, GradientEngine, TruncatedBPTT
from longlag.ops.paths import FULL, TRUNCATED
from longlag.optim.first_order import FirstOrder
from longlag.optim.minimise import Method
from longlag.optimizers import (
    OPTIMIZERS,
    OptimizerEntry,
    OptimizerName,
    build,
    listed,
    names,
    naming_optimizers,
    normalised,
    option_values,
)
from longlag.renamed import renamed_arguments
from longlag.training.schedules import Schedule

__all__ = ["GradientName", "TrainingConfig"]

GradientName = Literal["full", "truncated", "rtrl", "tbptt"]

_PATHS = {None: None, "full": FULL, "truncated": TRUNCATED}
LEARNING_RATE = 1e-3  # what None stands for


@naming_optimizers
@renamed_arguments(own_answers="sampling_probability")
@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What a training run does.

    First-order optimisers, {first_order}, make one update for each batch. The batch methods, {methods}, are those of
    ``longlag.optim``: they minimise the loss of a batch, find the length of a step themselves, and need a loss that
    repeats and its own gradient. An option that an optimiser does not use is refused.

    Parameters
    ----------
    optimizer : str, or the options of an optimiser
        One of {optimizers}; or, with options, such as ``longlag.optim.LBFGSMethod(history_size=5)``, which then is
        "lbfgs" with ``optimizer_options``.
    optimizer_options : mapping or None
        Options of the optimiser by name, as its class in ``longlag.optim`` has them; those of a line search or a solver
        with a dot or as a mapping: ``{"history_size": 5, "line_search.curvature": 0.5}``. What is not given has the
        optimiser's default. Afterwards it holds those that differ from the defaults.
    learning_rate : Schedule, float or None
        Over the epochs; None: 0.001. Batch methods take none.
    momentum : float or None
        The optimiser's option of that name, if it has one: of "momentum" alone, where None is 0.9.
    weight_decay : float
        Batch methods take none.
    max_epochs : int
        Passes over the data at most.
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
    k1, k2 : int or None
        Steps of a window, and those its error goes back; for "tbptt" only.
    clip_norm, clip_value : float or None
        Largest Euclidean norm of the whole gradient; largest absolute derivative. Value first, then norm. Batch methods
        take none.
    sharpness : Schedule, float or None
        The gates' slope alpha over the epochs; None leaves the cell's own. A batch method begins anew when it changes.
    sampling_probability : Schedule or float
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

    optimizer: OptimizerName | Method[Any] | FirstOrder = "adam"
    optimizer_options: Mapping[str, Any] | None = field(default=None, hash=False)
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
    sampling_probability: Schedule | float = 0.0
    patience: int | None = None
    min_delta: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.gradient is not None and self.gradient not in get_args(GradientName):
            raise InputError(f"gradient is {self.gradient!r}; expected one of {', '.join(get_args(GradientName))}")
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
        if not all(is_number(value) and 0 <= value <= 1 for value in _ends(self.sampling_probability)):
            raise InputError(
                f"sampling_probability is {self.sampling_probability!r}; expected probabilities between 0 and 1"
            )
        windows = (self.gradient == "tbptt", self.k1 is not None, self.k2 is not None)
        if any(windows) and not all(windows):
            raise InputError("k1 and k2 belong to gradient='tbptt'; expected all three or none of them")
        self._normalise_optimizer()
        if self.feeds_answers_back and self.gradient not in (None, "full"):
            raise InputError(
                f"sampling_probability with gradient={self.gradient!r}; feeding answers back needs gradient='full'"
            )
        self._refuse_what_is_not_used()
        for name, value in vars(self).items():  # NumPy's numbers become plain ones, as the run record holds them
            if is_whole(value):
                object.__setattr__(self, name, int(value))
            elif is_number(value):
                object.__setattr__(self, name, float(value))

    def _normalise_optimizer(self) -> None:
        """Name and options in their one form, however they were written; momentum stands in the field it has here."""
        name, options = normalised(self.optimizer, self.optimizer_options)
        by_name = isinstance(self.optimizer, str)
        stated = dict(self.optimizer_options or {}) if by_name else option_values(self.optimizer)
        if self.momentum is not None:
            if "momentum" not in option_values(build(name)):
                raise InputError(f"momentum with optimizer={name!r}; expected it with optimizer='momentum' alone")
            if stated.get("momentum", self.momentum) != self.momentum:
                raise InputError(
                    f"momentum is {self.momentum!r}, and {stated['momentum']!r} among the optimiser's options; "
                    "expected it once"
                )
        momentum = options.pop("momentum", self.momentum)
        for field_name, value in (("optimizer", name), ("optimizer_options", options), ("momentum", momentum)):
            object.__setattr__(self, field_name, value)

    @property
    def feeds_answers_back(self) -> bool:
        """Whether inputs are ever replaced by the network's own answers."""
        return any(value > 0 for value in _ends(self.sampling_probability))

    @property
    def is_scheduled(self) -> bool:
        """Whether an epoch depends on how many there are to be."""
        values = (self.learning_rate, self.sharpness, self.sampling_probability)
        return any(isinstance(value, Schedule) and value.shape != "constant" for value in values)

    @property
    def entry(self) -> OptimizerEntry:
        """What training knows of the optimiser beforehand."""
        assert isinstance(self.optimizer, str)  # since __post_init__
        return OPTIMIZERS[self.optimizer]

    @property
    def is_method(self) -> bool:
        """Whether the optimiser is a batch method."""
        return self.entry.is_method

    def options(self) -> Any:
        """The optimiser with its options: a ``longlag.optim`` method, or a first-order optimiser's options."""
        assert isinstance(self.optimizer, str)
        momentum = {} if self.momentum is None else {"momentum": self.momentum}
        return build(self.optimizer, {**(self.optimizer_options or {}), **momentum})

    def resolved(self, sequences: int, layer_gradient: GradientName = "full") -> TrainingConfig:
        """The same configuration with what None stands for in its place.

        Parameters
        ----------
        sequences : int
            Those of the data, at least one.
        layer_gradient : {"full", "truncated"}
            The ``gradient`` of the layer that is trained.

        Raises
        ------
        InputError
            If the configuration or its optimiser contradicts the layer.
        """
        self._check_layer(layer_gradient)
        usual: dict[str, Any] = {
            "gradient": layer_gradient,
            "batch_size": self.entry.default_batch(sequences),
            "momentum": option_values(self.options()).get("momentum"),
        }
        size = usual["batch_size"] if self.batch_size is None else self.batch_size
        if self.is_method:
            usual["inner_iterations"] = self.entry.minibatch_iterations if size < sequences else 1
        else:
            usual["learning_rate"] = LEARNING_RATE
        return dataclasses.replace(self, **{name: v for name, v in usual.items() if getattr(self, name) is None})

    def _check_layer(self, layer_gradient: GradientName) -> None:
        if layer_gradient == "full":
            return
        if self.gradient == "full":
            raise InputError(
                f"the configuration has gradient='full', but the layer has gradient={layer_gradient!r}; "
                "expected the same of both, or None in the configuration"
            )
        if self.is_method:
            raise InputError(
                f"optimizer={self.optimizer!r} needs the gradient of the loss it minimises, which the layer's "
                f"gradient={layer_gradient!r} is not; expected LSTM(gradient='full'), or {listed(names(methods=False))}"
            )

    def _refuse_what_is_not_used(self) -> None:
        first_order = listed(names(methods=False))
        if not self.is_method:
            if self.inner_iterations is not None:
                raise InputError(
                    f"inner_iterations with optimizer={self.optimizer!r}, which makes one update for each batch; "
                    f"expected it with {listed(names(methods=True))}"
                )
            return
        options = ("learning_rate", "weight_decay", "clip_norm", "clip_value")
        unused = [name for name in options if getattr(self, name) not in (None, 0.0)]
        if unused:
            raise InputError(
                f"optimizer={self.optimizer!r} uses no {' and no '.join(unused)}; expected "
                f"{'that' if len(unused) == 1 else 'these'} with {first_order} alone"
            )
        if self.gradient in ("truncated", "tbptt"):
            raise InputError(
                f"optimizer={self.optimizer!r} needs the gradient of the loss it minimises, which "
                f"gradient={self.gradient!r} is not; expected gradient='full' or 'rtrl', or {first_order}"
            )
        if self.feeds_answers_back:
            raise InputError(
                f"optimizer={self.optimizer!r} needs a loss that repeats, and answers are fed back at random; "
                f"expected sampling_probability=0, or {first_order}"
            )

    def engine(self) -> GradientEngine:
        """The gradient engine of this name; for None, backpropagation along the full paths."""
        if self.gradient == "tbptt":
            assert self.k1 is not None and self.k2 is not None
            return TruncatedBPTT(self.k1, self.k2)
        if self.gradient == "rtrl":
            return RTRL()
        return Backpropagation(_PATHS[self.gradient])

    def document(self) -> dict[str, Any]:
        """The configuration as plain JSON data.

        ``optimizer_options`` stands there only where an option differs from its default: so a run of an earlier
        release, which had none, is the same run.
        """
        document = dataclasses.asdict(self)
        if not self.optimizer_options:
            del document["optimizer_options"]
        return document


def _ends(schedule: Schedule | float) -> list[float]:
    if isinstance(schedule, Schedule):
        return [schedule.at(0.0), schedule.at(1.0)]
    return [schedule]
