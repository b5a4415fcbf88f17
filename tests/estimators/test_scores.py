"""The scores that the command prints, against the formulas written out."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

from longlag.estimators.backtest import Backtest
from longlag.estimators.scores import score_classes, score_forecasts, score_numbers


def test_errors_of_forecasts_are_means_over_origins_and_steps() -> None:
    series = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 6.0, 9.0])
    origins = np.array([4, 5])
    truth = np.array([[5.0, 7.0, 6.0], [7.0, 6.0, 9.0]])[:, :, None]
    mean = truth + np.array([[1.0, -2.0, 3.0], [0.0, 4.0, -5.0]])[:, :, None]
    found = score_forecasts(
        series, Backtest(origins, truth, mean, mean - 2.5, mean + 2.5, 0.9), training=4, lags=1, season=2
    )
    assert (found["horizon"], found["origins"]) == (3, 2)
    assert found["interval"] == {"asked": 0.9, "found": 0.5}
    model, last, seasonal, linear = found["methods"]
    assert model == {
        "method": "LSTM",
        "mae": pytest.approx(15 / 6),
        "rmse": pytest.approx(math.sqrt(55 / 6)),
        "mae_first_step": pytest.approx(0.5),
        "mae_last_step": pytest.approx(4.0),
    }
    assert last["mae"] == pytest.approx((3 + 1 + 2 + 2 + 1 + 4) / 6)  # 8 8 8 and 5 5 5
    assert seasonal["method"] == "seasonal naive (2)"
    assert seasonal["mae"] == pytest.approx((3 + 1 + 4 + 1 + 1 + 1) / 6)  # 2 8 2 and 8 5 8
    assert linear["method"] == "linear autoregression (1 lags)"
    without = score_forecasts(series, Backtest(origins, truth, mean, mean, mean, 0.9), training=4, lags=1, season=None)
    assert [row["method"] for row in without["methods"]] == ["LSTM", "last value", linear["method"]]
    assert without["interval"]["found"] == pytest.approx(1 / 6)  # the one that was hit exactly


def test_accuracy_stands_beside_the_commonest_class_of_the_training_part() -> None:
    truth, answers = np.array(["u", "v", "v", "v"]), np.array(["u", "u", "v", "v"])
    found = score_classes(truth, answers, np.array(["u", "u", "v"]))
    assert found["sequences"] == 4
    assert [(row["method"], row["accuracy"]) for row in found["methods"]] == [("LSTM", 0.75), ("always u", 0.25)]


def test_scores_of_classes_are_those_counted_by_hand() -> None:
    truth = np.array(["u", "v", "v", "v", "w"])
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0], [0.5, 0.5]])
    answers = np.array(["u", "u", "v", "v", "u"])
    found = score_classes(
        truth, answers, np.array(["u", "v", "u", "u"]), classes=np.array(["u", "v"]), probabilities=probabilities
    )
    assert found["classes"] == [
        {"class": "u", "sequences": 1, "recall": 1.0},
        {"class": "v", "sequences": 3, "recall": 2 / 3},
        {"class": "w", "sequences": 1, "recall": 0.0},  # nobody learned it
    ]
    assert found["confusion"] == [[1, 0, 0], [1, 2, 0], [1, 0, 0]]  # rows are the truth
    model, common = found["methods"]
    least = np.finfo(np.float64).eps  # instead of probability 0
    assert model["balanced_accuracy"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert model["log_loss"] == pytest.approx(-np.log([0.5, 0.25, 0.75, 1.0, least]).mean())
    assert common["method"] == "always u"
    assert common["balanced_accuracy"] == pytest.approx(1 / 3)
    assert common["log_loss"] == pytest.approx(-np.log([0.75, 0.25, 0.25, 0.25, least]).mean())


def test_the_simple_classifier_is_the_dummy_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    training, truth = rng.integers(0, 4, 50), rng.integers(0, 4, 30)
    shares = rng.dirichlet(np.ones(4), 30)
    found = score_classes(truth, shares.argmax(axis=1), training, classes=np.arange(4), probabilities=shares)
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((50, 1)), training)
    blank = np.zeros((30, 1))
    assert found["methods"][1]["accuracy"] == accuracy_score(truth, dummy.predict(blank))
    assert found["methods"][1]["balanced_accuracy"] == balanced_accuracy_score(truth, dummy.predict(blank))
    assert found["methods"][1]["log_loss"] == pytest.approx(log_loss(truth, dummy.predict_proba(blank)))


def test_a_class_without_a_sequence_has_no_recall() -> None:
    found = score_classes(np.array([1, 1]), np.array([1, 1]), np.array([1, 2]))
    assert [row["recall"] for row in found["classes"]] == [1.0, None]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["methods"][0]["balanced_accuracy"] == 1.0


def test_the_commonest_class_keeps_its_whole_name_where_held_out_names_are_shorter() -> None:
    found = score_classes(np.array(["u", "u"]), np.array(["u", "u"]), np.array(["uv", "uv", "u"]))
    assert [row["accuracy"] for row in found["methods"]] == [1.0, 0.0]


def test_errors_of_numbers_stand_beside_the_mean_of_the_training_part() -> None:
    found = score_numbers(np.array([1.0, 5.0]), np.array([2.0, 2.0]), np.array([0.0, 4.0]))
    model, mean = found["methods"]
    assert model == {"method": "LSTM", "mae": 2.0, "rmse": pytest.approx(math.sqrt(5))}
    assert mean == {"method": "training mean", "mae": 2.0, "rmse": pytest.approx(math.sqrt(5))}
