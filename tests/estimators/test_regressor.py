"""LSTMRegressor learns numbers, in the shape and the unit in which they were given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from longlag.errors import InputError
from longlag.estimators import LSTMRegressor

# torch compiles its forward-mode rules through its own deprecated torch.jit.script; gradient="rtrl" uses them.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

QUICK = {"n_networks": 2, "hidden_size": 4, "max_epochs": 3, "random_state": 0}


def marked_values(count: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Sequences of 5 to 15 steps (value, mark); the answers: the marked value, and the last."""
    rng = np.random.default_rng(seed)
    sequences = [np.stack([rng.uniform(-1, 1, length), np.zeros(length)], 1) for length in rng.integers(5, 16, count)]
    marks = [rng.integers(0, len(sequence) - 2) for sequence in sequences]
    for sequence, mark in zip(sequences, marks, strict=True):
        sequence[mark, 1] = 1.0
    answers = [(sequence[mark, 0], sequence[-1, 0]) for sequence, mark in zip(sequences, marks, strict=True)]
    return sequences, np.array(answers)


X, Y = marked_values(600, seed=0)


@pytest.mark.costly
def test_recalls_two_values_of_new_sequences() -> None:
    # R^2 0.999 when this was written; the mean would have 0.
    model = LSTMRegressor(n_networks=1, hidden_size=12, max_epochs=25, learning_rate=0.03, random_state=0).fit(X, Y)
    sequences, answers = marked_values(300, seed=1)
    assert model.n_validation_ == 60
    assert model.score(sequences, answers) >= 0.98


@pytest.mark.costly
@pytest.mark.parametrize("gradient", ["full", "truncated", "rtrl"])
def test_learns_with_every_gradient(gradient: str) -> None:
    sequences, answers = [sequence[-3:] for sequence in X[:60]], Y[:60, 1]
    options: dict[str, Any] = {"hidden_size": 3, "max_epochs": 12, "learning_rate": 0.1, "random_state": 0}
    model = LSTMRegressor(n_networks=1, gradient=gradient, **options).fit(sequences, answers)
    assert model.score(sequences, answers) >= 0.9


@pytest.mark.parametrize("shape", [(20,), (20, 1), (20, 2)])
def test_predictions_have_the_shape_of_the_targets(shape: tuple[int, ...]) -> None:
    targets = np.resize(Y, shape)
    model = LSTMRegressor(**QUICK).fit(X[:20], targets)
    found = model.predict(X[:20])
    assert found.shape == shape
    assert found.dtype == np.float64
    assert model.n_outputs_ == (shape[1] if len(shape) == 2 else 1)


def test_one_column_of_targets_is_one_target() -> None:
    flat, column = (LSTMRegressor(**QUICK).fit(X[:20], y).predict(X[:20]) for y in (Y[:20, 0], Y[:20, :1]))
    np.testing.assert_array_equal(flat, column[:, 0])


def test_the_unit_of_the_targets_does_not_matter() -> None:
    factors, shifts = np.array([1e6, 1e-6]), np.array([-4e6, 50.0])
    plain = LSTMRegressor(**QUICK).fit(X[:50], Y[:50]).predict(X[:50])
    other = LSTMRegressor(**QUICK).fit(X[:50], Y[:50] * factors + shifts).predict(X[:50])
    np.testing.assert_allclose((other - shifts) / factors, plain, atol=1e-5)


def test_without_standardize_the_network_answers_in_the_unit_of_the_targets() -> None:
    model = LSTMRegressor(standardize=False, **QUICK).fit(X[:20], Y[:20])
    assert model.input_scaler_ is None
    assert model.target_scaler_ is None
    assert np.abs(model.predict(X[:20])).max() < 10


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.where(np.arange(20) == 3, np.nan, 1.0), "Input y contains NaN"),
        (np.where(np.arange(20) == 3, np.inf, 1.0), "Input y contains infinity"),
        (np.array(["a"] * 20), "arrays of bytes/strings"),
        (np.zeros((20, 1, 1)), "Found array with dim 3"),
        (np.zeros((20, 0)), r"0 feature\(s\)"),
    ],
)
def test_what_are_no_numbers_is_refused(targets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LSTMRegressor(**QUICK).fit(X[:20], targets)


def test_a_target_too_large_for_the_network_is_refused() -> None:
    targets = np.where(np.arange(20) == 3, 1e300, 1.0)
    with pytest.raises(InputError, match=r"y is 1e\+300 at sequence 3, which is too large for torch.float32"):
        LSTMRegressor(standardize=False, **QUICK).fit(X[:20], targets)
