"""What a sequence counts: weight 2 is the sequence twice, weight 0 is none; classes are weighted as by scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.utils.class_weight import compute_sample_weight

from longlag.cell import CellSpec
from longlag.data import random_split
from longlag.distributed import SerialExecutor
from longlag.errors import InputError
from longlag.estimators import LSTMClassifier, LSTMRegressor, load

# torch compiles its forward-mode rules through its own deprecated torch.jit.script; gradient="rtrl" uses them.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(length, 2)) for length in (5, 1, 7, 3, 4, 6, 2, 8, 5, 5, 3, 4)]
WORDS = np.array(["no", "yes", "maybe"] * 4)
NUMBERS = RNG.normal(size=(12, 2))
COUNTS = np.array([1, 2, 0, 3, 1, 1, 2, 0, 1, 1, 4, 1])
ALL_AT_ONCE: dict[str, Any] = {"n_networks": 2, "hidden_size": 3, "max_epochs": 4, "batch_size": 100, "random_state": 0}
METHOD: dict[str, Any] = {"batch_size": None, "max_epochs": 2}


def answers(model: Any) -> np.ndarray:
    result: np.ndarray = model.predict_proba(X) if isinstance(model, LSTMClassifier) else model.predict(X)
    return result


def repeated(counts: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Sequences and their numbers, each as often as it counts."""
    numbers = np.repeat(np.arange(len(X)), counts)
    return [X[number] for number in numbers], numbers


@pytest.mark.costly
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "sgd", "standardize": False},
        {"gradient": "truncated", "bidirectional": True},
        {"gradient": "rtrl", "max_epochs": 2},
        {"optimizer": "lbfgs", **METHOD},
        {"optimizer": "hessian_free", **METHOD, "max_epochs": 1},
        {"optimizer": "levenberg_marquardt", **METHOD},
        {"executor": SerialExecutor()},
    ],
    ids=lambda options: " ".join(str(value) for value in options.values())[:30] or "adam",
)
@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor])
def test_a_sequence_of_weight_two_is_the_sequence_twice(kind: Any, options: dict[str, Any]) -> None:
    torch.set_default_dtype(torch.float64)
    y = WORDS if kind is LSTMClassifier else NUMBERS
    sequences, numbers = repeated(COUNTS)
    weighted = kind(**{**ALL_AT_ONCE, **options}).fit(X, y, sample_weight=2.5 * COUNTS)
    plain = kind(**{**ALL_AT_ONCE, **options}).fit(sequences, y[numbers])
    tolerance = 1e-5 if options.get("optimizer") == "hessian_free" else 1e-8  # many inner iterations magnify rounding
    np.testing.assert_allclose(answers(weighted), answers(plain), rtol=tolerance, atol=tolerance)
    assert weighted.history_[0]["loss"] == pytest.approx(plain.history_[0]["loss"], rel=1e-12)
    ignored = kind(**{**ALL_AT_ONCE, **options}).fit(X, y)
    assert np.abs(answers(ignored) - answers(plain)).max() > 1e-4


@pytest.mark.costly
@pytest.mark.parametrize("options", [{}, {"batch_size": 3, "validation_fraction": 0.3}])
@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor])
def test_a_sequence_of_weight_zero_is_left_out_to_the_bit(kind: Any, options: dict[str, Any]) -> None:
    y = WORDS if kind is LSTMClassifier else NUMBERS
    counting = np.arange(len(X)) % 5 != 2
    strange = [sequence if counts else 1e30 * sequence for sequence, counts in zip(X, counting, strict=True)]
    weighted = kind(**{**ALL_AT_ONCE, **options}).fit(strange, y, sample_weight=counting.astype(float))
    left = kind(**{**ALL_AT_ONCE, **options}).fit([X[number] for number in np.flatnonzero(counting)], y[counting])
    np.testing.assert_array_equal(answers(weighted), answers(left))
    assert weighted.n_validation_ == left.n_validation_


def test_weights_that_are_all_the_same_change_no_bit() -> None:
    plain = answers(LSTMClassifier(**ALL_AT_ONCE).fit(X, WORDS))
    for weights in (7.0, np.full(12, 1e-300), [1] * 12):
        np.testing.assert_array_equal(
            answers(LSTMClassifier(**ALL_AT_ONCE).fit(X, WORDS, sample_weight=weights)), plain
        )


# -- classes -----------------------------------------------------------------------------------------------------------


@pytest.mark.costly
@pytest.mark.parametrize("class_weight", ["balanced", {"a": 5.0, "b": 0.5}, {"a": 0.0}], ids=str)
def test_weights_of_classes_are_those_of_scikit_learn(class_weight: Any) -> None:
    torch.set_default_dtype(torch.float64)
    labels = np.array(["a", "b", "b", "c", "b", "b", "c", "b", "a", "b", "c", "b"])
    model = LSTMClassifier(class_weight=class_weight, **ALL_AT_ONCE).fit(X, labels)
    each = compute_sample_weight(class_weight, labels)
    np.testing.assert_allclose(
        answers(model), answers(LSTMClassifier(**ALL_AT_ONCE).fit(X, labels, each)), rtol=1e-9, atol=1e-12
    )
    plain = LSTMClassifier(**ALL_AT_ONCE).fit(X, labels)
    assert np.abs(answers(plain) - answers(model)).max() > 1e-4


def test_classes_are_balanced_by_what_their_sequences_count() -> None:
    torch.set_default_dtype(torch.float64)
    sequences, numbers = repeated(COUNTS)
    options = {**ALL_AT_ONCE, "class_weight": "balanced"}
    weighted = LSTMClassifier(**options).fit(X, WORDS, COUNTS)
    np.testing.assert_allclose(
        answers(weighted), answers(LSTMClassifier(**options).fit(sequences, WORDS[numbers])), rtol=1e-9
    )


@pytest.mark.costly
def test_a_rare_class_is_recognised_where_classes_are_balanced() -> None:
    rng = np.random.default_rng(0)
    kinds = (np.arange(300) % 15 == 0).astype(int)
    sequences = rng.normal(0.0, 1.0, (300, 4, 1)) + kinds[:, None, None]  # they overlap
    recalls = []
    for class_weight in (None, "balanced"):
        model = LSTMClassifier(
            n_networks=1, hidden_size=4, max_epochs=10, batch_size=32, class_weight=class_weight, random_state=0
        )
        recalls.append(float(np.mean(model.fit(sequences, kinds).predict(sequences)[kinds == 1])))
    assert recalls[1] > recalls[0] + 0.2


@pytest.mark.parametrize(
    "class_weight", ["balanced", {"no": 2.0, "yes": 3}, {0: 2.0, 1: np.float64(3.0)}], ids=["word", "text", "numbers"]
)
def test_weights_of_classes_are_saved_with_their_labels(class_weight: Any, tmp_path: Path) -> None:
    labels = WORDS if not isinstance(class_weight, dict) or "no" in class_weight else np.arange(12) % 2
    model = LSTMClassifier(class_weight=class_weight, **ALL_AT_ONCE).fit(X, labels)
    model.save(tmp_path / "model")
    loaded: Any = load(tmp_path / "model")
    assert loaded.class_weight == class_weight
    np.testing.assert_array_equal(answers(loaded.fit(X, labels)), answers(model))


# -- scores ------------------------------------------------------------------------------------------------------------


def test_scores_are_weighted_too() -> None:
    classifier, regressor = LSTMClassifier(**ALL_AT_ONCE).fit(X, WORDS), LSTMRegressor(**ALL_AT_ONCE).fit(X, NUMBERS)
    assert classifier.score(X, WORDS, COUNTS) == accuracy_score(WORDS, classifier.predict(X), sample_weight=COUNTS)
    assert regressor.score(X, NUMBERS, COUNTS) == r2_score(NUMBERS, regressor.predict(X), sample_weight=COUNTS)


def test_the_validation_loss_is_the_weighted_mean_of_the_part_set_aside() -> None:
    torch.set_default_dtype(torch.float64)
    weights = np.arange(1.0, 13.0)
    model = LSTMClassifier(**{**ALL_AT_ONCE, "n_networks": 1, "validation_fraction": 0.5, "patience": None})
    model.fit(X, WORDS, weights)
    part = [number for number in range(12) if number not in _training_part(model)]
    assert len(part) == model.n_validation_
    expected = log_loss(WORDS[part], answers(model)[part], sample_weight=weights[part], labels=model.classes_)
    best = model.history_[model.best_epoch_ - 1]["validation"]
    assert best == pytest.approx(expected, rel=1e-9)


def _training_part(model: LSTMClassifier) -> np.ndarray:
    """The sequences that a fit learns from, as the split by their classes has them."""
    return random_split(12, 6, seed=model.seed_, classes=np.unique(WORDS, return_inverse=True)[1])[0]


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(11), r"sample_weight has shape \(11,\); expected \(12,\)"),
        (np.ones((12, 2)), r"sample_weight has shape \(12, 2\)"),
        ([1.0] * 11 + [-1.0], "sample_weight is -1 at sequence 11; expected at least 0"),
        (np.zeros(12), "sample_weight is zero throughout"),
        ([1.0] * 11 + [np.nan], "sample_weight contains NaN"),
    ],
)
@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor])
def test_weights_that_cannot_be_used_are_refused(kind: Any, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**ALL_AT_ONCE).fit(X, WORDS if kind is LSTMClassifier else NUMBERS, sample_weight=weights)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ("even", "class_weight is 'even'; expected None, 'balanced'"),
        ({}, "class_weight is {}"),
        ({"no": -1.0}, "class_weight is {'no': -1.0}"),
        ({"no": "much"}, "class_weight is"),
        ([1.0, 2.0, 3.0], "class_weight is"),
        ({"nobody": 2.0}, "not in class_weight"),
        ({"no": 0.0, "yes": 0, "maybe": 0.0}, "class_weight is zero for every class"),
    ],
)
def test_weights_of_classes_that_cannot_be_used_are_refused(class_weight: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LSTMClassifier(class_weight=class_weight, **ALL_AT_ONCE).fit(X, WORDS)


def test_a_class_that_counts_nothing_keeps_its_column() -> None:
    model = LSTMClassifier(**ALL_AT_ONCE).fit(X, WORDS, (WORDS != "no").astype(float))
    assert model.classes_.tolist() == ["maybe", "no", "yes"]
    assert answers(model).shape == (12, 3)


def test_a_run_with_other_weights_is_another_run(tmp_path: Path) -> None:
    options = {**ALL_AT_ONCE, "run_dir": tmp_path / "run"}
    model = LSTMClassifier(**options).fit(X, WORDS, COUNTS)
    again = LSTMClassifier(resume=True, **options)
    np.testing.assert_array_equal(answers(again.fit(X, WORDS, COUNTS)), answers(model))
    for weights in (None, COUNTS + 1):
        with pytest.raises(InputError, match="holds a run on other data"):
            again.fit(X, WORDS, weights)


# -- warm starts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor])
def test_two_fits_with_a_warm_start_are_one_of_all_their_epochs(kind: Any) -> None:
    # Plain gradient descent on all sequences has no memory that a fit could forget.
    torch.set_default_dtype(torch.float64)  # the order of a sum is another in another epoch
    y = WORDS if kind is LSTMClassifier else NUMBERS[:, 0]
    options = {**ALL_AT_ONCE, "optimizer": "sgd", "learning_rate": 0.1, "patience": None}
    once = kind(**{**options, "max_epochs": 5}).fit(X, y)
    twice = kind(warm_start=True, **{**options, "max_epochs": 2}).fit(X, y)
    networks = twice.networks()
    twice.set_params(max_epochs=3).fit(X, y)
    np.testing.assert_allclose(answers(twice), answers(once), rtol=1e-10)
    assert len(twice.history_) == 3
    assert all(network is not before for network, before in zip(twice.networks(), networks, strict=True))


def test_a_warm_start_begins_with_the_loss_that_the_model_had() -> None:
    torch.set_default_dtype(torch.float64)
    other = [sequence + 3.0 for sequence in X]  # in the units of the first fit, not in its own
    model = LSTMClassifier(**{**ALL_AT_ONCE, "n_networks": 1, "warm_start": True}).fit(X, WORDS)
    before = model.predict_proba(other)
    model.fit(other, WORDS, COUNTS)
    expected = log_loss(WORDS, before, sample_weight=COUNTS, labels=model.classes_)
    assert model.history_[0]["loss"] == pytest.approx(expected, rel=1e-10)


def test_a_model_that_was_saved_is_started_warm(tmp_path: Path) -> None:
    model = LSTMRegressor(warm_start=True, **ALL_AT_ONCE).fit(X, NUMBERS)
    model.save(tmp_path / "model")
    loaded: Any = load(tmp_path / "model")
    np.testing.assert_array_equal(answers(loaded.fit(X, NUMBERS)), answers(model.fit(X, NUMBERS)))


def test_without_a_warm_start_a_fit_begins_afresh() -> None:
    model = LSTMClassifier(**ALL_AT_ONCE).fit(X, WORDS)
    before = answers(model)
    np.testing.assert_array_equal(answers(model.fit(X, WORDS)), before)
    assert np.abs(answers(model.set_params(warm_start=True).fit(X, WORDS)) - before).max() > 0


@pytest.mark.costly
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 4}, "hidden_size is 4, but the networks of the former fit have 3"),
        ({"n_networks": 3}, "n_networks is 3, but"),
        ({"num_layers": 2}, "num_layers is 2"),
        ({"bidirectional": True}, "bidirectional is True"),
        ({"cell": CellSpec.graves2005()}, "cell is CellSpec"),
        ({"standardize": False}, "standardize is False"),
        ({"run_dir": "somewhere"}, "run_dir is 'somewhere', but a run begins from fresh networks"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_warm_start_with_other_networks_is_refused_and_the_model_stays(options: dict[str, Any], message: str) -> None:
    model = LSTMClassifier(warm_start=True, **ALL_AT_ONCE).fit(X, WORDS)
    before = answers(model)
    with pytest.raises(InputError, match=message):
        model.set_params(**options).fit(X, WORDS)
    np.testing.assert_array_equal(answers(model), before)


def test_a_warm_start_on_other_data_is_refused_and_the_model_stays() -> None:
    model = LSTMClassifier(warm_start=True, **ALL_AT_ONCE).fit(X, WORDS)
    before = answers(model)
    with pytest.raises(InputError, match=r"y has the classes .*'never'.*; expected the same with warm_start"):
        model.fit(X, np.where(WORDS == "no", "never", WORDS))
    with pytest.raises(InputError, match="X has 1 features per step"):
        model.fit([sequence[:, :1] for sequence in X], WORDS)
    np.testing.assert_array_equal(answers(model), before)
    numbers = LSTMRegressor(warm_start=True, **ALL_AT_ONCE).fit(X, NUMBERS)
    with pytest.raises(InputError, match=r"y has shape \(12,\), but the former fit had 2 numbers"):
        numbers.fit(X, NUMBERS[:, 0])
