"""Standardizing against NumPy, at every size a float can have, and without a look at the test part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from longlag.data import Standardizer, chronological_split
from longlag.errors import InputError


def test_mean_and_scale_are_numpys() -> None:
    values = np.random.default_rng(0).standard_normal((200, 3)) * [1.0, 1e-6, 1e6] + [0.0, 5.0, -1e7]
    fitted = Standardizer.fit(values)
    np.testing.assert_allclose(fitted.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fitted.scale, values.std(axis=0), rtol=1e-9)
    np.testing.assert_allclose(fitted.transform(values), (values - values.mean(axis=0)) / values.std(axis=0), atol=1e-8)


sizes = st.floats(-1e12, 1e12, allow_subnormal=False)


@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=sizes))
def test_the_inverse_undoes_the_transform(values: np.ndarray) -> None:
    fitted = Standardizer.fit(values)
    back = fitted.inverse(fitted.transform(values))
    np.testing.assert_allclose(back, values, rtol=1e-12, atol=1e-12 * np.abs(values).max(initial=1e-300))


@pytest.mark.parametrize("constant", [0.0, 0.1, -3.7, 1e300, 1e-300, 1e15 + 0.3])
def test_a_constant_feature_has_scale_one_and_becomes_zero(constant: float) -> None:
    values = np.column_stack([np.full(1001, constant), np.arange(1001.0)])
    fitted = Standardizer.fit(values)
    assert fitted.mean[0] == constant
    assert fitted.scale[0] == 1.0
    assert fitted.scale[1] == pytest.approx(np.arange(1001.0).std())
    assert not fitted.transform(values)[:, 0].any()
    assert Standardizer.fit(values[:1]).scale.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1.0, 1e200, 1e305])
def test_neither_tiny_nor_huge_values_are_lost(size: float) -> None:
    z = Standardizer.fit(np.array([1.0, 2.0, 3.0, 4.0]) * size).transform(np.array([1.0, 4.0]) * size)
    np.testing.assert_allclose(z, [-1.5 / np.sqrt(1.25), 1.5 / np.sqrt(1.25)], rtol=1e-3 if size < 1e-300 else 1e-12)


def test_a_list_of_sequences_is_measured_over_all_their_steps() -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.standard_normal((length, 2)) for length in (3, 1, 8)]
    stacked = np.concatenate(sequences)
    assert Standardizer.fit(sequences).mean == pytest.approx(stacked.mean(axis=0))
    assert Standardizer.fit(sequences).scale == pytest.approx(stacked.std(axis=0))


def test_values_keep_their_shape() -> None:
    two = Standardizer.fit(np.random.default_rng(0).standard_normal((9, 2)))
    for shape in [(2,), (5, 2), (4, 5, 2), (0, 2)]:
        assert two.transform(np.ones(shape)).shape == shape
        assert two.inverse(np.ones(shape)).shape == shape
    one = Standardizer.fit(np.arange(5.0))
    assert one.transform(np.arange(7.0)).shape == (7,)
    assert one.transform(np.ones((7, 1))).shape == (7, 1)
    assert one.transform(np.float32([1, 2])).dtype == np.float64


def test_the_state_makes_the_same_standardizer() -> None:
    values = np.random.default_rng(0).standard_normal((9, 2))
    fitted = Standardizer.fit(values)
    again = Standardizer.from_state(fitted.state())
    np.testing.assert_array_equal(again.transform(values), fitted.transform(values))
    fitted.state()["mean"][:] = 7.0
    np.testing.assert_array_equal(again.mean, fitted.mean)


def test_the_standardizer_never_sees_the_test_part() -> None:
    series = np.random.default_rng(0).standard_normal(100)
    split = chronological_split(len(series), 0.3, validation=0.1)
    before = Standardizer.fit(series[split.train]).state()
    series[split.validation] = 1e9
    series[split.test] = np.nan
    after = Standardizer.fit(series[split.train]).state()
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
    assert split.train.stop <= split.validation.start <= split.validation.stop <= split.test.start


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (np.array([[1.0, 2.0], [3.0, np.nan]]), "the training part is nan at row 1, feature 1; expected finite"),
        (np.array([np.inf]), "the training part is inf at row 0, feature 0; expected finite"),
        (np.zeros((0, 2)), r"shape \(0, 2\); expected \(rows, features\), at least one each"),
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\); expected"),
        ([], r"expected \(rows, features\)"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], r"the sequences have \[2, 3\] features; expected the same number"),
        (np.array([-1.7e308, 1.7e308]), None),
    ],
)
def test_a_training_part_that_will_not_do_is_refused(training: Any, message: str | None) -> None:
    if message is None:
        assert np.isfinite(Standardizer.fit(training).scale).all()
        return
    with pytest.raises(InputError, match=message):
        Standardizer.fit(training)


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((3, 1)), np.zeros((2, 3)), np.float64(1.0)])
def test_another_number_of_features_is_refused(values: np.ndarray) -> None:
    fitted = Standardizer.fit(np.arange(8.0).reshape(4, 2))
    for change in (fitted.transform, fitted.inverse):
        with pytest.raises(InputError, match="expected 2 features last"):
            change(values)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"mean": [0.0]}, r"\['mean'\]; expected 'mean' and 'scale'"),
        ({"mean": [0.0], "scale": [1.0], "more": [1.0]}, "expected 'mean' and 'scale'"),
        ({"mean": [0.0], "scale": [1.0, 1.0]}, r"shape \(1,\) and scale \(2,\)"),
        ({"mean": [0.0], "scale": [0.0]}, "a scale not positive"),
        ({"mean": [np.nan], "scale": [1.0]}, "a mean is not finite"),
    ],
)
def test_a_state_that_is_none_is_refused(state: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Standardizer.from_state(state)
