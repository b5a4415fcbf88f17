"""Weights of methods: on the simplex, those of the best answer, the prior's where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize

from longlag.forecasting.combination import _TRUST, PRIOR, weights_of
from property_examples import examples

Array = NDArray[np.float64]
NAMES = ("LSTM", "Theta", "autoregression")


def errors_of(deviations: dict[str, float], rows: int = 40, seed: int = 0) -> tuple[Array, dict[str, Array]]:
    """A truth and forecasts whose errors have these deviations."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(rows, 5))
    return truth, {name: truth + deviation * rng.normal(size=(rows, 5)) for name, deviation in deviations.items()}


@given(
    st.dictionaries(st.sampled_from(sorted(PRIOR)), st.floats(0.0, 5.0), min_size=1),
    st.integers(0, 9),
    st.floats(0.0, 100.0),
)
@examples(30)
def test_weights_are_shares(deviations: dict[str, float], rows: int, independent: float) -> None:
    weights = weights_of(*errors_of(deviations, rows), independent)
    assert set(weights) <= set(deviations)
    assert all(weight > 0 for weight in weights.values())
    assert sum(weights.values()) == pytest.approx(1.0)


def test_without_evidence_the_weights_are_the_priors() -> None:
    nothing = {name: np.empty((0, 3)) for name in ("LSTM", "Theta", "smoothing")}
    weights = weights_of(np.empty((0, 3)), nothing, 0.0)
    total = sum(PRIOR[name] for name in nothing)
    assert weights == pytest.approx({name: PRIOR[name] / total for name in nothing})
    unknown = weights_of(np.full((4, 3), np.nan), {name: np.zeros((4, 3)) for name in nothing}, 4.0)
    assert unknown == pytest.approx(weights)


def test_priors_are_shares() -> None:
    assert sum(PRIOR.values()) == pytest.approx(1.0)
    assert min(PRIOR.values()) > 0


@pytest.mark.parametrize("best", PRIOR)
def test_a_method_that_is_much_better_than_all_others_is_the_answer_whatever_its_prior(best: str) -> None:
    weights = weights_of(*errors_of({name: 0.01 if name == best else 1.0 for name in PRIOR}), 5.0)
    assert max(weights, key=weights.__getitem__) == best
    assert weights[best] > 0.9


def test_methods_that_are_far_off_do_not_hide_that_one_of_the_others_is_exact() -> None:
    truth, forecasts = errors_of({"LSTM": 0.01, "Theta": 1e-12, "last value": 4.0, "drift": 4.0})
    weights = weights_of(truth, forecasts, 5.0)
    assert weights["Theta"] > 0.95


def test_methods_that_say_the_same_keep_the_shares_of_the_prior() -> None:
    truth, forecasts = errors_of({"LSTM": 1.0})
    weights = weights_of(truth, dict.fromkeys(("LSTM", "Theta"), forecasts["LSTM"]), 5.0)
    assert weights["LSTM"] / weights["Theta"] == pytest.approx(PRIOR["LSTM"] / PRIOR["Theta"], rel=0.02)


def test_forecasts_without_any_error_keep_the_prior() -> None:
    truth = np.ones((4, 3))
    weights = weights_of(truth, {"LSTM": truth, "Theta": truth}, 4.0)
    assert weights["LSTM"] == pytest.approx(PRIOR["LSTM"] / (PRIOR["LSTM"] + PRIOR["Theta"]))


def test_more_evidence_moves_the_weights_further_from_the_prior() -> None:
    truth, forecasts = errors_of({"LSTM": 2.0, "Theta": 0.5, "autoregression": 2.0})
    shares = [weights_of(truth, forecasts, independent)["Theta"] for independent in (1.0, 2.0, 5.0)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


@pytest.mark.parametrize("deviations", [(1.0, 1.0, 1.0), (0.3, 1.0, 2.0), (1.5, 0.8, 0.9)])
@pytest.mark.parametrize("independent", [1.0, 5.0])
def test_the_weights_are_those_that_an_optimiser_finds(deviations: tuple[float, ...], independent: float) -> None:
    truth, forecasts = errors_of(dict(zip(NAMES, deviations, strict=True)))
    errors = np.stack([(forecasts[name] - truth).ravel() for name in NAMES])
    errors /= np.abs(errors).mean()
    prior = np.array([PRIOR[name] for name in NAMES])
    prior /= prior.sum()

    def objective(weights: Array) -> float:
        weights = np.maximum(weights, 1e-12)
        divergence = float((weights * np.log(weights / prior)).sum())
        return float(np.log(np.abs(weights @ errors).mean())) + _TRUST / independent * divergence

    simplex = {"type": "eq", "fun": lambda weights: weights.sum() - 1.0}
    best = minimize(objective, prior, bounds=[(0.0, 1.0)] * 3, constraints=[simplex], method="SLSQP")
    kept = np.where(best.x < 0.05, 0.0, best.x)  # a method of less weight is left out
    kept /= kept.sum()
    weights = weights_of(truth, forecasts, independent)
    shares = np.array([weights.get(name, 0.0) for name in NAMES])
    assert objective(shares) <= objective(kept) + 0.01
    assert shares == pytest.approx(kept, abs=0.05)
