"""Models that somebody made by hand, digests and all: refused in one sentence, and before anything is built of them."""

from __future__ import annotations

import copy
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from longlag.cell import CellSpec
from longlag.errors import CheckpointError
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor, load
from longlag.estimators.base import NetworkEstimator
from longlag.estimators.parameters import CHECKS, TRAINING
from longlag.io.directory import Saved, read_directory, write_directory
from longlag.training import Schedule
from property_examples import examples

RNG = np.random.default_rng(0)
RAGGED = [RNG.normal(size=(length, 2)) for length in (5, 1, 7, 3, 4, 6)]
SERIES = np.sin(np.arange(40.0)) + 0.1 * RNG.normal(size=40)
QUICK: dict[str, Any] = {
    "n_networks": 1,
    "hidden_size": 3,
    "max_epochs": 1,
    "random_state": 0,
    "learning_rate": Schedule(0.1),
}

MOST_NUMBERS, MOST_BYTES = 100_000, 16 * 2**20
"""More than these small models need, and next to nothing beside what a manifest can ask for."""


def models() -> dict[str, NetworkEstimator]:
    return {
        "classifier": LSTMClassifier(bidirectional=True, **QUICK).fit(RAGGED, ["a", "b", "c"] * 2),
        "regressor": LSTMRegressor(cell=CellSpec.graves2005(), num_layers=2, **QUICK).fit(RAGGED, np.eye(6)[:, :2]),
        "table": LSTMRegressor(**QUICK).fit(RNG.normal(size=(6, 4)), np.arange(6.0)),
        "forecaster": LSTMForecaster(horizon=4, season=1, lags=2, **{**QUICK, "n_networks": 2}).fit(
            np.stack([SERIES, SERIES[::-1]], axis=1), RNG.normal(size=(40, 2))
        ),
    }


KINDS = ("classifier", "regressor", "table", "forecaster")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Saved]:
    """What the files of one model of each kind hold."""
    folder = tmp_path_factory.mktemp("models")
    contents = {}
    for name, model in models().items():
        model.save(folder / name)
        contents[name] = read_directory(folder / name, kind="model")
    return contents


class SmallTensorsOnly(TorchDispatchMode):
    """Fails the test where PyTorch is asked for a large tensor, before it makes one."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shapes = [value for value in args if isinstance(value, (list, tuple, torch.Size))]
        for shape in shapes:
            if shape and all(type(size) is int for size in shape):
                assert prod(shape) <= MOST_NUMBERS, f"{func} was asked for {shape}"
        return func(*args, **(kwargs or {}))


@contextmanager
def in_little_memory() -> Iterator[None]:
    """Neither PyTorch nor NumPy nor Python takes much."""
    tracemalloc.start()
    try:
        with SmallTensorsOnly():
            yield
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def crafted(path: Path, content: Saved) -> Path:
    """A model directory with this content, and digests that fit."""
    shutil.rmtree(path, ignore_errors=True)
    write_directory(path, kind="model", files=content.files, document=content.document)
    return path


def refused(path: Path, content: Saved) -> str:
    """The sentence in which a crafted model is refused."""
    with in_little_memory(), pytest.raises(CheckpointError) as refusal:
        load(crafted(path, content))
    return str(refusal.value)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value of a JSON document, the inner ones too."""
    found = [path] if path else []
    items: Any = document.items() if isinstance(document, dict) else enumerate(document)
    return found + [
        place
        for key, value in items
        for place in (places(value, (*path, key)) if isinstance(value, (dict, list)) else [(*path, key)])
    ]


def parent_of(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        document = document[key]
    return document


NUMBERS = [0, -1, 1, 2, 3, 20_000, 2**31, 2**63, 2**64, 10**30, 1.5, 1e308, -1e308, 1e-308]
JSON = st.recursive(
    st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.sampled_from(["", "x", "auto", "<U999999999", "|O"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "cell", "dtype"]), inner),
    max_leaves=4,
)


@pytest.mark.costly
@pytest.mark.parametrize("kind", KINDS)
@examples(100)
@given(data=st.data())
def test_whatever_a_manifest_says_it_is_refused_or_read_in_little_memory(
    kind: str, originals: dict[str, Saved], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    original = originals[kind]
    document = copy.deepcopy(original.document)
    path = data.draw(st.sampled_from(places(document)))
    parent = parent_of(document, path)
    what = data.draw(st.sampled_from(["changed", "changed", "changed", "missing", "extra"]))
    if what == "missing":
        del parent[path[-1]]
    elif what == "changed":
        parent[path[-1]] = data.draw(JSON)
    elif isinstance(parent, dict):
        parent["extra"] = data.draw(JSON)
    else:
        parent.append(data.draw(JSON))
    folder = tmp_path_factory.getbasetemp() / f"crafted-{kind}"
    crafted(folder, Saved(document, original.files))
    with SmallTensorsOnly(), suppress(CheckpointError):
        model = load(folder)  # with another number of epochs, say, which changes nothing of what was learned
        weights = original.files["network.safetensors"]
        assert all(torch.equal(value, weights[name]) for name, value in model.network_.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["parameters", "training", "fitted", "estimator"])
@pytest.mark.parametrize("value", [None, [], {}, "", 3])
def test_a_part_of_another_kind_is_refused(
    kind: str, what: str, value: Any, originals: dict[str, Saved], tmp_path: Path
) -> None:
    document = {**originals[kind].document, what: value}
    if (what, value) == ("parameters", {}):
        value = document["parameters"] = {"hidden_size": 7}  # the defaults are other sizes
    refused(tmp_path / "model", Saved(document, originals[kind].files))


LIES: list[tuple[str, str, Any, str]] = [
    ("classifier", "parameters.hidden_size", 20_000, r"lstm.weight_ih_l0 has shape \(12, 2\); expected \(80000, 2\)"),
    ("classifier", "parameters.num_layers", 2**63, "more than 2[*][*]40 weights"),
    ("classifier", "parameters.num_layers", 2**30, "tensors of weights; expected "),
    ("classifier", "parameters.hidden_size", 2**63, "more than 2[*][*]40 weights"),
    ("classifier", "parameters.hidden_size", True, "hidden_size is True; expected a whole number"),
    ("classifier", "parameters.hidden_size", 3.0, "hidden_size is 3.0; expected a whole number"),
    ("classifier", "parameters.bidirectional", 1, "bidirectional is 1; expected True or False"),
    ("classifier", "parameters.bidirectional", False, "tensors of weights"),
    ("classifier", "parameters.standardize", "no", "standardize is 'no'; expected True or False"),
    ("classifier", "parameters.verbose", "loud", "verbose is 'loud'"),
    ("classifier", "parameters.dropout", "0.5", "dropout is '0.5'; expected a probability"),
    ("classifier", "parameters.random_state", "x", "'x' cannot be used to seed"),
    ("classifier", "parameters.random_state", -1, "Seed must be between 0 and"),
    ("classifier", "parameters.optimizer", 7, "optimizer is 7"),
    ("classifier", "parameters.max_epochs", 0, "max_epochs is 0"),
    ("classifier", "parameters.patience", [3], "patience is"),
    ("classifier", "parameters.cell", {"type": "CellSpec", "conventional_units": 2**62}, "more than 2[*][*]40 weights"),
    ("classifier", "parameters.cell", {"type": "Schedule", "start": 1.0}, "cell is Schedule"),
    ("classifier", "parameters.cell", {"type": ["CellSpec"]}, "a parameter has type"),
    ("classifier", "parameters.run_dir", "/tmp/elsewhere", r"unknown parameters \['run_dir'\]"),
    ("classifier", "parameters.resume", True, r"unknown parameters \['resume'\]"),
    ("classifier", "parameters.executor", "local", r"unknown parameters \['executor'\]"),
    ("classifier", "training.seed", 2**64, "seed is"),
    ("classifier", "training.seed", -1, "seed is -1"),
    ("classifier", "training.seed", 1.0, "seed is 1.0"),
    ("classifier", "training.n_epochs", "9", "n_epochs is '9'"),
    ("classifier", "training.best_epoch", 10**9, "best_epoch is"),
    ("classifier", "training.sharpness", -1.0, "sharpness is -1.0"),
    ("classifier", "training.sharpness", True, "sharpness is True"),
    ("classifier", "fitted.features", 10**12, "input_size is 2 with"),
    ("classifier", "fitted.input_size", 10**12, "input_size is"),
    ("classifier", "fitted.outputs", 2**63, "has shape|classes for"),
    ("classifier", "fitted.steps", 7, "steps is 7"),
    ("classifier", "fitted.names", ["a", "b"], "2 names of columns"),
    ("classifier", "fitted.names", "ab", "names is 'ab'"),
    ("classifier", "fitted.validation", -1, "validation is -1"),
    ("classifier", "fitted.classes.dtype", "<U99999999", "take more than"),
    ("classifier", "fitted.classes.dtype", "<U1", "repeat|does not hold"),
    ("classifier", "fitted.classes.values", ["a", "b", "b"], "repeat"),
    ("classifier", "fitted.classes.values", ["a", "b", ["c"]], "expected a list of text"),
    ("classifier", "fitted.classes.values", {"a": 1}, "expected a list of text"),
    ("regressor", "fitted.flat", True, "flat is True for 2 outputs"),
    ("regressor", "fitted.flat", "no", "flat is 'no'"),
    ("regressor", "fitted.outputs", 1, "target_mean is float64 of shape"),
    ("table", "fitted.steps", 10**9, "steps is"),
    ("table", "fitted.features", 10**9, "steps is 4"),
    ("forecaster", "parameters.lags", 0, "lags is 0"),
    ("forecaster", "parameters.n_networks", 3, "the files is"),
    ("forecaster", "parameters.n_networks", 1, "the files is"),
    ("forecaster", "parameters.n_networks", "many", "n_networks is 'many'"),
    ("forecaster", "parameters.horizon", 0, "horizon is 0"),
    ("forecaster", "parameters.season", [], r"season is \[\]"),
    ("forecaster", "parameters.refit", "yes", "refit is 'yes'"),
    ("forecaster", "parameters.validation_fraction", None, "validation_fraction is None"),
    ("forecaster", "fitted.form", "many", "form is 'many'"),
    ("forecaster", "fitted.form", "one", "form is 'one' for 2 series"),
    ("forecaster", "fitted.form", "table", "form is 'table', with no continuation"),
    ("forecaster", "fitted.design", {}, "the design is"),
    ("forecaster", "fitted.design.horizon", 10**9, "scores is float64 of shape"),
    ("forecaster", "fitted.design.horizon", True, "horizon is True"),
    ("forecaster", "fitted.design.window", 10**9, "has shape|more than"),
    ("forecaster", "fitted.design.window", 3, "has shape"),
    ("forecaster", "fitted.design.seasons", [12], "has shape"),
    ("forecaster", "fitted.design.seasons", [], r"seasons is \[\]"),
    ("forecaster", "fitted.design.seasons", "12", "seasons is '12'"),
    ("forecaster", "fitted.design.base", 0, "base is 0"),
    ("forecaster", "fitted.design.static", 10**9, "static is"),
    ("forecaster", "fitted.weights", [1.0], r"weights is \[1.0\]"),
    ("forecaster", "fitted.weights", {"oracle": 1.0}, "weights is"),
    ("forecaster", "fitted.weights", {"LSTM": -1.0}, "weights of LSTM is -1.0"),
    ("forecaster", "fitted.weights", {"LSTM": 0.5}, "expected shares that sum to 1"),
    ("forecaster", "fitted.weights", {}, "expected shares that sum to 1"),
    ("forecaster", "fitted.columns", None, "columns is None"),
    ("forecaster", "fitted.columns", {"target": "y"}, "columns is"),
    ("forecaster", "fitted.errors", {"LSTM": "none"}, "errors of LSTM is 'none'"),
]


@pytest.mark.parametrize(("kind", "place", "value", "message"), LIES, ids=lambda value: str(value)[:40])
def test_a_lie_is_named(
    kind: str, place: str, value: Any, message: str, originals: dict[str, Saved], tmp_path: Path
) -> None:
    document = copy.deepcopy(originals[kind].document)
    path = tuple(place.split("."))
    parent_of(document, path)[path[-1]] = value
    if message == "repeat|does not hold":
        document["fitted"]["classes"]["values"] = ["ab", "ac", "ad"]  # which one letter does not hold
    sentence = refused(tmp_path / "model", Saved(document, originals[kind].files))
    with pytest.raises(CheckpointError, match=message):
        raise CheckpointError(sentence)
    assert str(tmp_path / "model") in sentence


HARM: dict[str, Callable[[Tensor], Tensor]] = {
    "NaN": lambda weight: weight.clone().fill_(torch.nan),
    "one infinity": lambda weight: torch.cat([weight.flatten()[1:], torch.tensor([torch.inf])]).view(weight.shape),
    "another type": lambda weight: weight.half(),
    "whole numbers": lambda weight: weight.long(),
    "transposed": lambda weight: weight[None],
    "a row more": lambda weight: torch.cat([weight, weight[:1]]),
    "no numbers": lambda weight: weight[:0],
}


FITTING = {("NaN", "values"), ("NaN", "past"), *((harm, "scores") for harm in ("NaN", "a row more", "no numbers"))}
"""What is no harm: a missing value, and other numbers of past errors."""

SAID_OF = {"lengths": "static", "known": "past"}
"""Of two arrays that do not fit together the second is named."""


@pytest.mark.costly
@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize(
    ("kind", "file", "name"),
    [
        ("classifier", "network", "lstm.weight_hh_l0_reverse"),
        ("regressor", "network", "lstm.weight_peephole_l1"),
        ("table", "network", "readout.weight"),
        ("table", "network", "readout.bias"),
        ("classifier", "arrays", "input_mean"),
        ("regressor", "arrays", "target_scale"),
        ("forecaster", "network_1", "readout.weight"),
        *(("forecaster", "arrays", name) for name in ("lengths", "values", "known", "past", "units", "effects")),
        *(("forecaster", "arrays", name) for name in ("known_mean", "known_scale", "past_mean", "past_scale")),
        ("forecaster", "arrays", "scores"),
    ],
)
def test_numbers_that_no_fit_writes_are_refused_by_name(
    harm: str, kind: str, file: str, name: str, originals: dict[str, Saved], tmp_path: Path
) -> None:
    files = copy.deepcopy(originals[kind].files)
    tensors = files[f"{file}.safetensors"]
    tensors[name] = HARM[harm](tensors[name])
    if (harm, name) in FITTING:
        load(crafted(tmp_path / "model", Saved(originals[kind].document, files)))
    else:
        refusal = refused(tmp_path / "model", Saved(originals[kind].document, files))
        assert SAID_OF.get(name, name) in refusal or name in refusal


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", ["network.safetensors", "arrays.safetensors"])
@pytest.mark.parametrize("change", ["a tensor more", "a tensor less", "a name changed"])
def test_tensors_are_those_of_the_model(
    kind: str, file: str, change: str, originals: dict[str, Saved], tmp_path: Path
) -> None:
    files = {name: dict(tensors) for name, tensors in originals[kind].files.items()}
    name = min(files[file])
    if change != "a tensor less":
        files[file]["surprise"] = files[file][name]
    if change != "a tensor more":
        del files[file][name]
    refused(tmp_path / "model", Saved(originals[kind].document, files))


def test_a_file_more_is_refused(originals: dict[str, Saved], tmp_path: Path) -> None:
    files = {**originals["table"].files, "more.safetensors": {"x": torch.zeros(1)}}
    assert "the files" in refused(tmp_path / "model", Saved(originals["table"].document, files))


def test_what_was_saved_is_read_in_little_memory(originals: dict[str, Saved], tmp_path: Path) -> None:
    for content in originals.values():
        path = crafted(tmp_path / "model", content)
        with in_little_memory():
            load(path)


@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor, LSTMForecaster])
def test_every_parameter_of_an_estimator_has_a_check(kind: type[NetworkEstimator]) -> None:
    assert set(kind().get_params(deep=False)) <= CHECKS.keys() | TRAINING


def test_labels_too_wide_to_be_read_back_are_not_written(tmp_path: Path) -> None:
    model = LSTMClassifier(**QUICK).fit(RAGGED, ["a", "b", "c"] * 2)
    model.classes_ = np.broadcast_to(np.array("a", dtype="<U8000000"), (3,))
    with pytest.raises(Exception, match="bytes; expected at most"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
