"""TrainingConfig: what is out of range is refused in one sentence, and what is left is plain JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from longlag.errors import InputError
from longlag.gradients import RTRL, Backpropagation, TruncatedBPTT
from longlag.ops.paths import FULL, TRUNCATED
from longlag.training import Schedule, TrainingConfig

WHOLE = "expected a whole number of at least 1"
WINDOWS = "k1 and k2 belong to gradient='tbptt'; expected all three or none of them"
INFINITY = float("inf")
NAN = float("nan")

REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"optimizer": "lion"},
        "optimizer is 'lion'; expected one of sgd, momentum, adam, adamw, lbfgs, cg, hessian_free, levenberg_marquardt",
    ),
    ({"gradient": "none"}, "gradient is 'none'; expected one of full, truncated, rtrl, tbptt"),
    *(
        ({name: value}, f"{name} is {value!r}; {WHOLE}")
        for name in ("max_epochs", "batch_size", "inner_iterations", "patience")
        for value in (0, -1, True, 1.5, 2.0, "3", NAN, INFINITY)
    ),
    ({"max_epochs": None}, f"max_epochs is None; {WHOLE}"),
    ({"gradient": "tbptt", "k1": 0, "k2": 1}, f"k1 is 0; {WHOLE}"),
    ({"gradient": "tbptt", "k1": 1, "k2": 2.5}, f"k2 is 2.5; {WHOLE}"),
    *(({"seed": value}, f"seed is {value!r}; expected a whole number") for value in (None, 0.0, True, "1")),
    *(({"bucket": value}, f"bucket is {value!r}; expected True or False") for value in (None, 1, "no")),
    *(
        ({name: value}, f"{name} is {value!r}; expected a positive number")
        for name in ("clip_norm", "clip_value")
        for value in (0, -0.5, NAN, INFINITY, True, "1")
    ),
    *(
        ({name: value}, f"{name} is {value!r}; expected a number of at least 0")
        for name in ("momentum", "weight_decay", "min_delta")
        for value in (-1e-9, NAN, INFINITY, False, "0")
    ),
    *(({name: None}, f"{name} is None; expected a number of at least 0") for name in ("weight_decay", "min_delta")),
    *(
        ({name: value}, f"{name} is {value!r}; expected positive numbers")
        for name in ("learning_rate", "sharpness")
        for value in (0, -1.0, NAN, INFINITY, True, "1", Schedule(0.0), Schedule(1.0, -1.0, "linear"))
    ),
    *(
        ({"sampling_probability": value}, f"sampling_probability is {value!r}; expected probabilities between 0 and 1")
        for value in (-0.1, 1.1, NAN, None, True, Schedule(0.0, 1.5, "linear"), Schedule(-1.0))
    ),
    *(({"gradient": "tbptt", **windows}, WINDOWS) for windows in ({}, {"k1": 1}, {"k2": 1})),
    *(
        ({"gradient": gradient, **windows}, WINDOWS)
        for gradient in ("full", "truncated", "rtrl")
        for windows in ({"k1": 1}, {"k2": 1}, {"k1": 1, "k2": 1})
    ),
    *(
        (
            {"sampling_probability": own, "gradient": gradient, **windows},
            f"sampling_probability with gradient={gradient!r}; feeding answers back needs gradient='full'",
        )
        for own in (0.5, Schedule(0.0, 1.0, "linear"))
        for gradient, windows in (("truncated", {}), ("rtrl", {}), ("tbptt", {"k1": 1, "k2": 1}))
    ),
]

USED_ALONE = "with sgd, momentum, adam or adamw alone"
REFUSED += [
    *(
        (
            {"optimizer": name, "momentum": 0.9},
            f"momentum with optimizer={name!r}; expected it with optimizer='momentum' alone",
        )
        for name in ("sgd", "adam", "adamw", "lbfgs", "cg", "hessian_free", "levenberg_marquardt")
    ),
    *(
        (
            {"optimizer": name, "inner_iterations": 2},
            f"inner_iterations with optimizer={name!r}, which makes one update for each batch; "
            "expected it with lbfgs, cg, hessian_free or levenberg_marquardt",
        )
        for name in ("sgd", "momentum", "adam", "adamw")
    ),
    *(
        ({"optimizer": name, option: value}, f"optimizer={name!r} uses no {option}; expected that {USED_ALONE}")
        for name in ("lbfgs", "cg", "hessian_free", "levenberg_marquardt")
        for option, value in (
            ("learning_rate", 1e-3),
            ("learning_rate", Schedule(0.1, 0.2, "linear")),
            ("weight_decay", 0.1),
            ("clip_norm", 1.0),
            ("clip_value", 1.0),
        )
    ),
    (
        {"optimizer": "lbfgs", "learning_rate": 0.1, "weight_decay": 0.1, "clip_norm": 1.0},
        f"optimizer='lbfgs' uses no learning_rate and no weight_decay and no clip_norm; expected these {USED_ALONE}",
    ),
    *(
        (
            {"optimizer": "cg", "gradient": gradient, **windows},
            "optimizer='cg' needs the gradient of the loss it minimises, which "
            f"gradient={gradient!r} is not; expected gradient='full' or 'rtrl', or sgd, momentum, adam or adamw",
        )
        for gradient, windows in (("truncated", {}), ("tbptt", {"k1": 1, "k2": 1}))
    ),
    (
        {"optimizer": "hessian_free", "sampling_probability": Schedule(0.0, 1.0, "linear")},
        "optimizer='hessian_free' needs a loss that repeats, and answers are fed back at random; "
        "expected sampling_probability=0, or sgd, momentum, adam or adamw",
    ),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=str)
def test_what_is_out_of_range_is_refused_in_one_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        TrainingConfig(**options)


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"optimizer": "momentum", "momentum": 0.0, "weight_decay": 0.1, "learning_rate": 1},
    {"gradient": "tbptt", "k1": 3, "k2": 1},
    {"sampling_probability": Schedule(0.0, 1.0, "cosine"), "sharpness": Schedule(1.0, 4.0, "exponential")},
    {"sampling_probability": Schedule(0.5, -3.0)},  # a constant schedule never reaches its end
    {"clip_norm": 1.0, "clip_value": 0.5, "patience": 4, "min_delta": 1e-3, "seed": -(2**70), "bucket": False},
    {"max_epochs": np.int64(7), "seed": np.uint32(3), "learning_rate": np.float32(0.5), "min_delta": np.float64(0.25)},
    {"learning_rate": Schedule(np.float32(0.5), np.int32(1), "steps", np.int16(2))},
    {
        "optimizer": "lbfgs",
        "inner_iterations": np.int32(3),
        "batch_size": 8,
        "weight_decay": 0.0,
        "sampling_probability": 0.0,
    },
    {"optimizer": "hessian_free", "gradient": "rtrl", "sharpness": Schedule(1.0, 4.0, "linear"), "patience": 3},
    {"optimizer": "lbfgs", "optimizer_options": {"history_size": np.int64(5), "line_search": {"curvature": 0.5}}},
    {"optimizer": "momentum", "optimizer_options": {"momentum": np.float32(0.5), "nesterov": True}},
]


@pytest.mark.parametrize("options", ACCEPTED, ids=str)
def test_the_document_of_a_configuration_is_strict_json_and_makes_the_same_configuration(
    options: dict[str, Any],
) -> None:
    config = TrainingConfig(**options)
    document = json.loads(json.dumps(config.document(), allow_nan=False))
    assert document == config.document()
    schedules = ("learning_rate", "sharpness", "sampling_probability")
    again = {
        name: Schedule(**value) if name in schedules and isinstance(value, dict) else value
        for name, value in document.items()
    }
    assert TrainingConfig(**again) == config


def test_every_option_changes_the_document() -> None:
    """A run is continued only under the same document, so an option that it left out could change unseen."""
    changed: dict[str, Any] = {
        "optimizer": "sgd",
        "learning_rate": Schedule(1e-3),
        "weight_decay": 0.5,
        "max_epochs": 7,
        "batch_size": 7,
        "bucket": False,
        "gradient": "rtrl",
        "clip_norm": 1.0,
        "clip_value": 1.0,
        "sharpness": 2.0,
        "sampling_probability": 0.5,
        "patience": 7,
        "min_delta": 0.5,
        "seed": 7,
    }
    usual = TrainingConfig().document()
    assert set(changed) | {"k1", "k2", "momentum", "inner_iterations"} == set(usual)
    for name, value in changed.items():
        document = TrainingConfig(**{name: value}).document()
        assert [key for key in usual if document[key] != usual[key]] == [name]
    windows = TrainingConfig(gradient="tbptt", k1=2, k2=3).document()
    assert (windows["gradient"], windows["k1"], windows["k2"]) == ("tbptt", 2, 3)
    assert TrainingConfig(optimizer="momentum", momentum=0.5).document()["momentum"] == 0.5
    assert TrainingConfig(optimizer="cg", inner_iterations=5).document()["inner_iterations"] == 5
    options = {"beta1": 0.5}
    assert TrainingConfig(optimizer_options=options).document() == {**usual, "optimizer_options": options}


def test_the_gradient_is_the_engine_of_its_name() -> None:
    full, truncated = (TrainingConfig(gradient=gradient).engine() for gradient in ("full", "truncated"))
    layers_own = TrainingConfig().engine()
    assert isinstance(layers_own, Backpropagation)
    assert layers_own.paths is None
    windows = TrainingConfig(gradient="tbptt", k1=2, k2=5).engine()
    assert isinstance(full, Backpropagation)
    assert full.paths == FULL
    assert isinstance(truncated, Backpropagation)
    assert truncated.paths == TRUNCATED
    assert isinstance(windows, TruncatedBPTT)
    assert (windows.k1, windows.k2) == (2, 5)
    assert isinstance(TrainingConfig(gradient="rtrl").engine(), RTRL)


def test_answers_are_fed_back_when_they_ever_are() -> None:
    assert not TrainingConfig(sampling_probability=0).feeds_answers_back
    assert not TrainingConfig(sampling_probability=Schedule(0.0, 1.0)).feeds_answers_back
    assert TrainingConfig(sampling_probability=0.1).feeds_answers_back
    assert TrainingConfig(sampling_probability=Schedule(0.0, 1.0, "linear")).feeds_answers_back
    assert TrainingConfig(sampling_probability=Schedule(1.0, 0.0, "linear")).feeds_answers_back


@pytest.mark.parametrize(
    ("options", "sequences", "expected"),
    [
        ({}, 5000, {"learning_rate": 1e-3, "batch_size": 32}),
        ({"optimizer": "sgd", "learning_rate": 0.5, "batch_size": 7}, 5000, {}),
        ({"optimizer": "momentum"}, 3, {"learning_rate": 1e-3, "batch_size": 32, "momentum": 0.9}),
        ({"optimizer": "lbfgs"}, 5000, {"batch_size": 5000, "inner_iterations": 1}),
        ({"optimizer": "cg", "batch_size": 4999}, 5000, {"inner_iterations": 20}),
        ({"optimizer": "cg", "batch_size": 9999}, 5000, {"inner_iterations": 1}),
        ({"optimizer": "hessian_free"}, 1, {"batch_size": 1, "inner_iterations": 1}),
        ({"optimizer": "hessian_free"}, 1000, {"batch_size": 1000, "inner_iterations": 1}),
        ({"optimizer": "hessian_free"}, 1001, {"batch_size": 501, "inner_iterations": 1}),
        ({"optimizer": "levenberg_marquardt"}, 2500, {"batch_size": 834, "inner_iterations": 1}),
        ({"optimizer": "levenberg_marquardt", "batch_size": 10, "inner_iterations": 4}, 2500, {}),
    ],
)
def test_what_is_not_given_is_the_optimisers_own(
    options: dict[str, Any], sequences: int, expected: dict[str, Any]
) -> None:
    config = TrainingConfig(**options)
    resolved = config.resolved(sequences)
    before, after = config.document(), resolved.document()
    assert {name: value for name, value in after.items() if value != before[name]} == expected | {"gradient": "full"}
    assert resolved.resolved(sequences) == resolved
    assert not any(before[name] is not None for name in expected)


def test_without_a_gradient_of_its_own_a_configuration_takes_the_layers() -> None:
    assert TrainingConfig().resolved(5, "truncated").gradient == "truncated"
    assert TrainingConfig(gradient="truncated").resolved(5, "full").gradient == "truncated"
    assert TrainingConfig(gradient="rtrl").resolved(5, "truncated").gradient == "rtrl"
    with pytest.raises(InputError, match=r"has gradient='full', but the layer has gradient='truncated'; expected"):
        TrainingConfig(gradient="full").resolved(5, "truncated")
    with pytest.raises(InputError, match=r"'lbfgs' needs the gradient of the loss .* gradient='truncated' is not"):
        TrainingConfig(optimizer="lbfgs").resolved(5, "truncated")
