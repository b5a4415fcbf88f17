"""The scores that the command prints, against the formulas written out."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

from longlag.estimators.backtest import Backtest
from longlag.estimators.scores import scaled_errors, score_classes, score_forecasts, score_numbers

SERIES = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 6.0, 9.0])
TRUTH = np.array([[5.0, 7.0, 6.0], [7.0, 6.0, 9.0]])[:, :, None]
MEAN = TRUTH + np.array([[1.0, -2.0, 3.0], [0.0, 4.0, -5.0]])[:, :, None]
METHODS = {
    "last value": np.array([[8.0, 8.0, 8.0], [5.0, 5.0, 5.0]])[:, :, None],
    "seasonal naive": np.array([[2.0, 8.0, 2.0], [8.0, 5.0, 8.0]])[:, :, None],
}


def backtest(truth: NDArray[np.float64] = TRUTH, width: float = 2.5) -> Backtest:
    return Backtest(np.array([4, 5]), truth, MEAN, MEAN - width, MEAN + width, 0.9, METHODS)


def test_errors_of_forecasts_are_means_over_origins_and_steps() -> None:
    score = score_forecasts(backtest(), [SERIES], [4], (2,))
    assert (score["horizon"], score["origins"]) == (3, 2)
    assert score["interval"] == {"asked": 0.9, "found": 0.5}
    model, last, seasonal = score["methods"]
    usual = (1 + 4) / 2  # of the changes within a season of two, before step 4
    assert model == {
        "method": "LSTM",
        "mae": pytest.approx(15 / 6),
        "rmse": pytest.approx(math.sqrt(55 / 6)),
        "mae_first_step": pytest.approx(0.5),
        "mae_last_step": pytest.approx(4.0),
        "mase": pytest.approx(15 / 6 / usual),
    }
    assert (last["method"], seasonal["method"]) == ("last value", "seasonal naive")
    assert last["mae"] == pytest.approx((3 + 1 + 2 + 2 + 1 + 4) / 6)
    assert seasonal["mae"] == pytest.approx((3 + 1 + 4 + 1 + 1 + 1) / 6)
    assert seasonal["mase"] == pytest.approx((3 + 1 + 4 + 1 + 1 + 1) / 6 / usual)
    exact = score_forecasts(backtest(width=0.0), [SERIES], [4], (1,))
    assert exact["interval"]["found"] == pytest.approx(1 / 6)  # the one that was hit exactly
    assert exact["methods"][0]["mase"] == pytest.approx(15 / 6 / ((3 + 2 + 6) / 3))


def test_steps_without_a_truth_count_nowhere() -> None:
    truth = TRUTH.copy()
    truth[1, 1] = np.nan
    score = score_forecasts(backtest(truth), [SERIES], [4], (2,))
    model = score["methods"][0]
    assert model["mae"] == pytest.approx(11 / 5)
    assert model["rmse"] == pytest.approx(math.sqrt(39 / 5))
    assert score["interval"]["found"] == pytest.approx(3 / 5)
    nothing = score_forecasts(backtest(np.full_like(TRUTH, np.nan)), [SERIES], [4], (2,))
    assert nothing["interval"]["found"] is None
    assert all(row[name] is None for row in nothing["methods"] for name in ("mae", "rmse", "mase"))


def test_scaled_errors_are_means_over_the_series() -> None:
    steady, rising = np.array([3.0, 3.0, 3.0, 4.0]), np.array([1.0, 3.0, 5.0, 8.0])
    truth = np.array([[4.0], [8.0]])[:, :, None]
    both = Backtest(np.array([3, 3]), truth, truth + 2.0, truth, truth, 0.9, {}, np.array([0, 1]))
    assert scaled_errors(both, [steady, rising], [3, 3], (1,)) == {"": {1: pytest.approx(1.0)}}
    assert scaled_errors(both, [rising, rising * 2], [3, 3], (1,)) == {"": {0: pytest.approx(1.0), 1: 0.5}}
    score = score_forecasts(both, [rising, rising * 2], [3, 3], (1,))
    assert score["methods"][0]["mase"] == pytest.approx(0.75)


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
