"""Among scikit-learn's own tools the estimators behave like any other."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from longlag.cell import CellSpec
from longlag.estimators import LSTMClassifier, LSTMRegressor

pytestmark = pytest.mark.costly

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(90, 4))
RAGGED = [RNG.normal(size=(length, 2)) for length in RNG.integers(1, 6, 90)]
CLASSES = np.array([int(sequence[-1, 0] > 0) for sequence in RAGGED])
QUICK = {"n_networks": 2, "hidden_size": 4, "max_epochs": 3, "random_state": 0}
KINDS = (LSTMClassifier, LSTMRegressor)


def answers(model: Any, X: Any) -> np.ndarray:
    found: np.ndarray = model.predict_proba(X) if is_classifier(model) else model.predict(X)
    return found


def test_stands_at_the_end_of_a_pipeline() -> None:
    classes = (TABLE.sum(axis=1) > 0).astype(int)
    options = {"n_networks": 2, "hidden_size": 8, "max_epochs": 15, "learning_rate": 0.03, "random_state": 0}
    model = make_pipeline(StandardScaler(), LSTMClassifier(**options)).fit(1e6 * TABLE, classes)
    assert model.score(1e6 * TABLE, classes) >= 0.9
    alone = LSTMClassifier(**options).fit(StandardScaler().fit_transform(1e6 * TABLE), classes)
    np.testing.assert_array_equal(
        model.predict_proba(1e6 * TABLE), alone.predict_proba(model[:-1].transform(1e6 * TABLE))
    )


def test_a_grid_search_in_two_processes_finds_what_one_process_finds() -> None:
    grid = {"learning_rate": np.array([1e-4, 0.03]), "hidden_size": np.array([8]), "cell": [None, CellSpec.coupled()]}
    model = LSTMClassifier(n_networks=1, max_epochs=10, batch_size=32, random_state=0)
    searches = [GridSearchCV(model, grid, cv=2, n_jobs=jobs).fit(RAGGED, CLASSES) for jobs in (None, 2)]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert len(scores[0]) == 4
    assert searches[1].best_params_["learning_rate"] == 0.03
    assert searches[1].score(RAGGED, CLASSES) >= 0.8


def test_threads_that_fit_side_by_side_get_the_same_bits() -> None:
    model = LSTMRegressor(n_networks=1, num_layers=2, dropout=0.5, hidden_size=8, max_epochs=5, random_state=0)
    alone = cross_val_predict(model, RAGGED, CLASSES, cv=4)
    with joblib.parallel_config(backend="threading", n_jobs=4):
        together = cross_val_predict(model, RAGGED, CLASSES, cv=4)
    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("X", [TABLE, TABLE[:, :, None], RAGGED], ids=["table", "3-D", "list"])
@pytest.mark.parametrize("kind", KINDS)
def test_is_cross_validated_on_every_form_of_sequences(kind: Any, X: Any) -> None:
    scores = cross_val_score(kind(**QUICK), X, CLASSES, cv=3, error_score="raise")
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_clone_has_the_parameters_and_nothing_learned(kind: Any) -> None:
    model = kind(cell=CellSpec.graves2005(), run_dir=Path("unused"), **QUICK)
    model.set_params(run_dir=None).fit(RAGGED, CLASSES)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert not [name for name in vars(copied) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        copied.predict(RAGGED)
    np.testing.assert_array_equal(answers(copied.fit(RAGGED, CLASSES), RAGGED), answers(model, RAGGED))


@pytest.mark.parametrize("kind", KINDS)
def test_new_parameters_count_from_the_next_fit(kind: Any) -> None:
    model = kind(**QUICK).fit(RAGGED, CLASSES)
    before = answers(model, RAGGED)
    model.set_params(hidden_size=6, bidirectional=True, max_epochs=2)
    np.testing.assert_array_equal(answers(model, RAGGED), before)
    fresh = kind(**{**QUICK, "hidden_size": 6, "bidirectional": True, "max_epochs": 2})
    np.testing.assert_array_equal(
        answers(model.fit(RAGGED, CLASSES), RAGGED), answers(fresh.fit(RAGGED, CLASSES), RAGGED)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_survives_joblib_and_pickle(kind: Any, tmp_path: Path) -> None:
    model = kind(bidirectional=True, cell=CellSpec.batch2013(), **QUICK).fit(RAGGED, CLASSES)
    joblib.dump(model, tmp_path / "model.joblib")
    for copied in (joblib.load(tmp_path / "model.joblib"), pickle.loads(pickle.dumps(model))):  # noqa: S301
        np.testing.assert_array_equal(answers(copied, RAGGED), answers(model, RAGGED))
        assert copied.get_params() == model.get_params()


def test_the_tags_tell_what_they_are() -> None:
    assert is_classifier(LSTMClassifier())
    assert is_regressor(LSTMRegressor())
    for model in (LSTMClassifier(), LSTMRegressor()):
        tags = model.__sklearn_tags__()
        assert tags.input_tags.three_d_array
        assert not tags.input_tags.allow_nan
        assert tags.target_tags.required
        assert tags.target_tags.multi_output == is_regressor(model)
        assert not tags.non_deterministic
