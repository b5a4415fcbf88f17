"""A saved estimator comes back with the same bits; what is no saved estimator is named, and never executed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError

from longlag.cell import CellSpec
from longlag.errors import CheckpointError, InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor, load
from longlag.io.directory import read_directory, write_directory
from longlag.training import Schedule

RNG = np.random.default_rng(0)
RAGGED = [RNG.normal(size=(length, 2)) for length in (5, 1, 7, 3, 4, 6, 2, 8, 5, 5, 3, 4)]
TABLE = RNG.normal(size=(12, 4))
VALUES = RNG.normal(size=(12, 2))
WORDS = np.array(["no", "yes", "może"] * 4)
SERIES = np.sin(np.arange(60.0)) + 0.1 * RNG.normal(size=60)
QUICK = {"n_networks": 2, "hidden_size": 4, "max_epochs": 2, "random_state": 0}

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "1997": {"cell": CellSpec.hochreiter1997(cells_per_block=2), "gradient": "truncated"},
    "batch2013": {"cell": CellSpec.batch2013()},
    "peepholes": {"cell": CellSpec.graves2005(), "num_layers": 2, "dropout": 0.3},
    "schedule": {"learning_rate": Schedule(0.1, 0.01, "linear"), "hidden_size": np.int64(3)},
    "both ways": {"bidirectional": True},
    "raw": {"standardize": False},
    "validation": {"validation_fraction": 0.25, "patience": 1},
}


def same(model: Any, loaded: Any) -> None:
    assert type(loaded) is type(model)
    given, found = model.get_params(), loaded.get_params()
    for name in ("run_dir", "resume"):
        given.pop(name), found.pop(name)
    assert found == given
    learned = {name for name in vars(model) if name.endswith("_")}
    assert {name for name in vars(loaded) if name.endswith("_")} == learned
    for network, read in zip(model.networks(), loaded.networks(), strict=True):
        assert all(torch.equal(value, read.state_dict()[name]) for name, value in network.state_dict().items())
    for name in learned - {"network_", "networks_", "history_", "input_scaler_", "target_scaler_"}:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name), strict=True)


@pytest.mark.costly
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(
    "X", [RAGGED, TABLE, pd.DataFrame(TABLE, columns=list("abcd"))], ids=["list", "table", "frame"]
)
def test_a_classifier_comes_back_with_the_same_bits(X: Any, options: dict[str, Any], tmp_path: Path) -> None:
    model = LSTMClassifier(**{**QUICK, **options}).fit(X, WORDS)
    model.save(tmp_path / "model")
    for loaded in (LSTMClassifier.load(tmp_path / "model"), load(tmp_path / "model")):
        same(model, loaded)
        np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X), strict=True)
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X), strict=True)


@pytest.mark.costly
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("targets", [VALUES, VALUES[:, :1], VALUES[:, 0]], ids=["two", "column", "one"])
def test_a_regressor_comes_back_with_the_same_bits(
    targets: np.ndarray, options: dict[str, Any], tmp_path: Path
) -> None:
    model = LSTMRegressor(**{**QUICK, **options}).fit(RAGGED, targets)
    model.save(tmp_path / "model")
    for loaded in (LSTMRegressor.load(tmp_path / "model"), load(tmp_path / "model")):
        same(model, loaded)
        np.testing.assert_array_equal(loaded.predict(RAGGED), model.predict(RAGGED), strict=True)


@pytest.mark.costly
@pytest.mark.parametrize("cell", [None, CellSpec.hochreiter1997(), CellSpec.graves2005()])
def test_a_forecaster_comes_back_with_the_same_bits(cell: CellSpec | None, tmp_path: Path) -> None:
    model = LSTMForecaster(lags=6, cell=cell, **{**QUICK, "n_networks": 2}).fit(SERIES)
    model.save(tmp_path / "model")
    for loaded in (LSTMForecaster.load(tmp_path / "model"), load(tmp_path / "model")):
        np.testing.assert_array_equal(loaded.predict(5), model.predict(5), strict=True)
        np.testing.assert_array_equal(loaded.predict_interval(5), model.predict_interval(5), strict=True)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([5, -3] * 6, dtype=np.int16),
        np.array([0.0, 1.0] * 6),
        np.array([True, False] * 6),
        WORDS.astype(object),
    ],
    ids=["int16", "float", "bool", "object"],
)
def test_labels_come_back_as_they_were(labels: np.ndarray, tmp_path: Path) -> None:
    model = LSTMClassifier(**QUICK).fit(RAGGED, labels)
    model.save(tmp_path / "model")
    loaded = LSTMClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.classes_, model.classes_, strict=True)
    np.testing.assert_array_equal(loaded.predict(RAGGED), model.predict(RAGGED), strict=True)


def test_a_model_of_a_release_that_had_one_network_is_read(tmp_path: Path) -> None:
    model = LSTMClassifier(**{**QUICK, "n_networks": 1}).fit(RAGGED, WORDS)
    model.save(tmp_path / "model")
    saved = read_directory(tmp_path / "model", kind="model")
    del saved.document["parameters"]["n_networks"]
    write_directory(tmp_path / "old", kind="model", files=saved.files, document=saved.document)
    old = LSTMClassifier.load(tmp_path / "old")
    assert old.n_networks == 1
    np.testing.assert_array_equal(old.predict_proba(RAGGED), model.predict_proba(RAGGED))


def test_a_float64_model_comes_back_as_one_whatever_the_default_is_then(tmp_path: Path) -> None:
    torch.set_default_dtype(torch.float64)
    model = LSTMRegressor(**QUICK).fit(RAGGED, VALUES)
    model.save(tmp_path / "model")
    torch.set_default_dtype(torch.float32)
    loaded = LSTMRegressor.load(tmp_path / "model")
    assert next(loaded.network_.parameters()).dtype == torch.float64
    np.testing.assert_array_equal(loaded.predict(RAGGED), model.predict(RAGGED))


def test_a_loaded_estimator_can_be_saved_and_fitted_again(tmp_path: Path) -> None:
    model = LSTMRegressor(**QUICK).fit(RAGGED, VALUES)
    model.save(tmp_path / "model")
    loaded = LSTMRegressor.load(tmp_path / "model")
    loaded.save(tmp_path / "again")
    for name in ("manifest.json", "network.safetensors", "arrays.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()
    np.testing.assert_array_equal(loaded.fit(RAGGED, VALUES).predict(RAGGED), model.predict(RAGGED))


def test_loading_leaves_torchs_random_numbers_alone(tmp_path: Path) -> None:
    LSTMRegressor(**QUICK).fit(RAGGED, VALUES).save(tmp_path / "model")
    before = torch.get_rng_state()
    load(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor, LSTMForecaster])
def test_nothing_is_saved_before_fit(kind: Any, tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        kind().save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_labels_that_are_no_plain_data_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    model = LSTMClassifier(**QUICK).fit(RAGGED, WORDS)
    model.classes_ = np.array([object(), object(), object()])
    with pytest.raises(InputError, match="classes are text, numbers or booleans"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


# -- what is no saved estimator ----------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    LSTMClassifier(**QUICK).fit(RAGGED, WORDS).save(tmp_path / "model")
    return tmp_path / "model"


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere does not exist"):
        load(tmp_path / "nowhere")


class Trap:
    """Ends the test when it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("a pickle was opened",)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match="pickle files are never opened"):
        load(tmp_path / "model.pkl")


@pytest.mark.costly
@pytest.mark.parametrize("name", ["manifest.json", "network.safetensors", "arrays.safetensors"])
@pytest.mark.parametrize("harm", ["changed", "shortened", "removed"])
def test_a_damaged_file_is_named(name: str, harm: str, saved: Path) -> None:
    data = bytearray((saved / name).read_bytes())
    data[len(data) // 2] ^= 1
    if harm == "removed":
        (saved / name).unlink()
    else:
        (saved / name).write_bytes(data if harm == "changed" else data[:-1])
    with pytest.raises(CheckpointError, match=name):
        load(saved)


def test_another_kind_of_estimator_is_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a LSTMClassifier; expected a LSTMRegressor"):
        LSTMRegressor.load(saved)


def tampered(path: Path, place: str, value: Any) -> None:
    """The model at ``path`` with one entry of its document changed, and digests that fit."""
    content = read_directory(path, kind="model")
    entry, *inner = place.split(".")
    at: Any = content.document
    for name in inner:
        at, entry = at[entry], name
    at[entry] = value
    write_directory(path, kind="model", files=content.files, document=content.document)


@pytest.mark.costly
@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("estimator", "Pipeline", "holds 'Pipeline'; expected one of LSTMClassifier"),
        ("estimator", ["LSTMClassifier"], "expected one of LSTMClassifier"),
        ("estimator", "LSTMRegressor", "does not hold a whole LSTMRegressor"),
        ("parameters", [], "does not hold a whole LSTMClassifier"),
        ("parameters.surprise", 1, "surprise"),
        ("parameters.cell", {"type": "os.system", "command": "true"}, "has type 'os.system'"),
        ("parameters.cell", {"type": "CellSpec", "sharpness": -1.0}, "sharpness is -1.0"),
        ("parameters.hidden_size", 5, "does not hold a whole LSTMClassifier"),
        ("parameters.hidden_size", "4", "does not hold a whole LSTMClassifier"),
        ("training.seed", None, "does not hold a whole LSTMClassifier"),
        ("training.sharpness", None, "does not hold a whole LSTMClassifier"),
        ("fitted", {}, "does not hold a whole LSTMClassifier"),
        ("fitted.classes.dtype", "V8", "classes are of type 'V8'"),
        ("fitted.classes.dtype", 7, "does not hold a whole LSTMClassifier"),
        ("fitted.classes.dtype", "<i8", "does not hold a whole LSTMClassifier"),
        ("fitted.classes.values", ["a", "b"], "2 classes for 3 outputs"),
        ("fitted.outputs", 4, "3 classes for 4 outputs"),
        ("fitted.input_size", 3, "does not hold a whole LSTMClassifier"),
    ],
)
def test_a_well_formed_lie_is_refused(place: str, value: Any, message: str, saved: Path) -> None:
    tampered(saved, place, value)
    with pytest.raises(CheckpointError, match=message):
        load(saved)
