"""What the parameters of the estimators may be: checked when a fit begins, and when a saved model is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from longlag.cell import CellSpec
from longlag.checks import is_number, is_whole, true_or_false, whole_number
from longlag.distributed import Executor
from longlag.errors import InputError
from longlag.training.callbacks import check_callbacks
from longlag.training.devices import training_device

__all__ = ["CHECKS", "TRAINING", "check_parameters", "python_value"]

TRAINING = frozenset(
    (
        "optimizer",
        "optimizer_options",
        "learning_rate",
        "weight_decay",
        "max_epochs",
        "batch_size",
        "gradient",
        "clip_norm",
        "patience",
    )
)
"""Parameters that ``longlag.training.TrainingConfig`` checks."""


def python_value(value: Any) -> Any:
    """NumPy's numbers, which grids of parameters are made of, as Python's; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Refuse parameters of a kind or size that no estimator can use; those of ``TRAINING`` are not looked at.

    Raises
    ------
    InputError
        The first that is wrong, and what was expected. ValueError for a ``random_state``, in scikit-learn's words.
    """
    for name, value in parameters.items():
        if name in CHECKS:
            CHECKS[name](name, python_value(value))
    if parameters.get("cell") is not None:
        parameters["cell"].blocks(int(parameters["hidden_size"]))


def _count(name: str, value: Any) -> None:
    whole_number(name, value, 1)


def _count_or_none(name: str, value: Any) -> None:
    if value is not None and not (is_whole(value) and value >= 1):
        raise InputError(f"{name} is {value!r}; expected None, or a whole number of at least 1")


def _seasons(name: str, value: Any) -> None:
    lengths = [value] if value is None or is_whole(value) else value
    whole = isinstance(lengths, (list, tuple)) and lengths and all(is_whole(item) and item >= 1 for item in lengths)
    if value is not None and not whole:
        raise InputError(f"{name} is {value!r}; expected None, or whole numbers of steps of at least 1")


def _calendar(name: str, value: Any) -> None:
    if not isinstance(value, (bool, str)):
        raise InputError(f"{name} is {value!r}; expected True, False, or a country such as 'DE'")


def _cell(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, CellSpec):
        raise InputError(f"{name} is {value!r}; expected None or a CellSpec")


def _probability(name: str, value: Any) -> None:
    if not is_number(value) or not 0 <= value <= 1:
        raise InputError(f"{name} is {value!r}; expected a probability between 0 and 1")


def _share_or_none(name: str, value: Any) -> None:
    if value is not None and not (is_number(value) and 0 <= value < 1):
        raise InputError(f"{name} is {value!r}; expected None, or at least 0 and below 1")


def _class_weight(name: str, value: Any) -> None:
    weights = list(value.values()) if isinstance(value, Mapping) else []
    fits = value is None or (isinstance(value, str) and value == "balanced") or bool(weights)
    if not fits or not all(is_number(weight) and 0 <= weight < np.inf for weight in map(python_value, weights)):
        raise InputError(f"{name} is {value!r}; expected None, 'balanced', or weights of at least 0 by label")


def _random_state(name: str, value: Any) -> None:
    check_random_state(value)


def _device(name: str, value: Any) -> None:
    training_device(value)


def _executor(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, Executor):
        raise InputError(f"{name} is {value!r}; expected None or an Executor of longlag.distributed")


def _callbacks(name: str, value: Any) -> None:
    check_callbacks(value)


def _path(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, (str, os.PathLike)):
        raise InputError(f"{name} is {value!r}; expected None or a path")


def _verbose(name: str, value: Any) -> None:
    if not isinstance(value, bool) and not is_whole(value):
        raise InputError(f"{name} is {value!r}; expected True or False")


CHECKS: Mapping[str, Callable[[str, Any], None]] = {
    "horizon": _count_or_none,
    "season": _seasons,
    "lags": _count_or_none,
    "n_networks": _count,
    "refit": true_or_false,
    "calendar": _calendar,
    "hidden_size": _count,
    "num_layers": _count,
    "cell": _cell,
    "dropout": _probability,
    "bidirectional": true_or_false,
    "validation_fraction": _share_or_none,
    "standardize": true_or_false,
    "class_weight": _class_weight,
    "warm_start": true_or_false,
    "random_state": _random_state,
    "device": _device,
    "executor": _executor,
    "callbacks": _callbacks,
    "run_dir": _path,
    "resume": true_or_false,
    "verbose": _verbose,
}
"""Every other parameter of an estimator: what refuses a value it cannot have."""
