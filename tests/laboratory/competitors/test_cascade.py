"""Recurrent cascade-correlation: its derivatives against finite differences, its size, and a task it solves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from longlag.errors import InputError
from longlag_lab.competitors.cascade import CascadeCorrelation, Strings, weight_count
from longlag_lab.competitors.measures import all_right, covariance, output_errors
from longlag_lab.competitors.quickprop import Quickprop
from longlag_lab.competitors.self_recurrent import unit_gradient, unit_values

STEP = 1e-5


def random_strings(symbols: int = 4) -> Strings:
    """Six strings of mixed lengths; two are of length 1, so that steps shrink at once."""
    random = np.random.default_rng(0)
    lengths = np.array([3, 1, 5, 4, 1, 5])
    inputs = random.integers(symbols, size=lengths.sum())
    legal = np.eye(symbols, dtype=bool)[inputs]
    return Strings(inputs, lengths, np.roll(inputs, -1), legal)


def remembering(most: int) -> Strings:
    """0 or 1, then up to so many of 2 and 3 in every order, then 4, then the first symbol again: to be remembered."""
    inputs: list[int] = []
    targets: list[int] = []
    legal: list[set[int]] = []
    lengths: list[int] = []
    for count in range(1, most + 1):
        for first, middle in itertools.product([0, 1], itertools.product([2, 3], repeat=count)):
            string = [first, *middle, 4, first]
            inputs += string[:-1]
            targets += string[1:]
            legal += [{2, 3}, *[{2, 3, 4}] * count, {first}]
            lengths.append(count + 2)
    allowed = np.array([[symbol in symbols for symbol in range(5)] for symbols in legal])
    return Strings(np.array(inputs), np.array(lengths), np.array(targets), allowed)


def finite_differences(function, weights):
    """The derivative of a number by every weight, by central differences."""
    slopes = np.zeros_like(weights)
    for place in np.ndindex(weights.shape):
        shift = np.zeros_like(weights)
        shift[place] = STEP
        slopes[place] = (function(weights + shift) - function(weights - shift)) / (2 * STEP)
    return slopes


# -- units with a self-connection --------------------------------------------------------------------------------------


def test_values_by_time_step_are_those_of_one_string_after_the_other():
    strings, random = random_strings(), np.random.default_rng(1)
    weights = random.normal(size=(6, 3))
    values = unit_values(strings.bias_and_inputs, weights, strings)
    expected, start = np.zeros((strings.lengths.sum(), 3)), 0
    for length in strings.lengths:
        last = np.zeros(3)
        for row in range(start, start + length):
            net = weights[0] + weights[1 + strings.inputs[row]] + weights[-1] * last
            last = expected[row] = 1 / (1 + np.exp(-net)) - 0.5
        start += length
    np.testing.assert_allclose(values, expected[strings.order], atol=1e-15)


def test_the_candidates_derivative_of_the_covariance_is_that_of_finite_differences():
    strings, random = random_strings(), np.random.default_rng(2)
    weights = random.normal(size=(6, 3))
    errors = random.normal(size=(strings.lengths.sum(), 4))

    def scores(weights):
        return covariance(unit_values(strings.bias_and_inputs, weights, strings), errors)[0].sum()

    values = unit_values(strings.bias_and_inputs, weights, strings)
    gradient = unit_gradient(strings.bias_and_inputs, weights, values, covariance(values, errors)[1], strings)
    np.testing.assert_allclose(gradient, finite_differences(scores, weights), atol=1e-9)


def test_carrying_delta_back_gives_fahlmans_forward_recursion():
    strings, random = random_strings(), np.random.default_rng(3)
    weights = random.normal(size=(6, 1))
    features = strings.bias_and_inputs
    values = unit_values(features, weights, strings)
    pull = random.normal(size=values.shape)
    by_row = np.argsort(strings.order)
    expected, start = np.zeros(6), 0
    for length in strings.lengths:
        derivative, last = np.zeros(6), 0.0
        for row in by_row[start : start + length]:
            value = values[row, 0]
            derivative = (0.25 - value**2) * (np.append(features[row], last) + weights[-1, 0] * derivative)
            expected += pull[row, 0] * derivative
            last = value
        start += length
    gradient = unit_gradient(features, weights, values, pull, strings)
    np.testing.assert_allclose(gradient[:, 0], expected, atol=1e-12)


def test_strings_of_length_one_have_no_derivative_by_the_self_connection():
    strings = Strings(np.array([0, 1]), np.array([1, 1]), np.array([1, 0]), np.eye(2, dtype=bool))
    weights = np.ones((4, 2))
    values = unit_values(strings.bias_and_inputs, weights, strings)
    gradient = unit_gradient(strings.bias_and_inputs, weights, values, np.ones((2, 2)), strings)
    assert gradient[:-1].any()
    np.testing.assert_array_equal(gradient[-1], 0)


# -- outputs, score, size ----------------------------------------------------------------------------------------------


def test_the_output_errors_are_the_derivative_of_half_the_squared_error():
    random = np.random.default_rng(4)
    features, goals = random.normal(size=(9, 5)), random.choice([-0.5, 0.5], size=(9, 3))
    weights = random.normal(size=(5, 3))

    def half_squared_error(weights):
        return 0.5 * np.square(output_errors(features, weights, goals, 0.0)[1]).sum()

    gradient = features.T @ output_errors(features, weights, goals, 0.0)[2]
    np.testing.assert_allclose(gradient, finite_differences(half_squared_error, weights), atol=1e-9)


def test_the_score_is_the_covariance_with_every_output_over_the_squared_error():
    random = np.random.default_rng(5)
    values, errors = random.normal(size=(20, 2)), random.normal(size=(20, 3))
    expected = [
        sum(abs(np.cov(values[:, unit], errors[:, out], bias=True)[0, 1]) for out in range(3)) for unit in (0, 1)
    ]
    scores, _ = covariance(values, errors)
    np.testing.assert_allclose(scores, 20 * np.array(expected) / np.square(errors).sum())


def test_predictions_are_right_when_every_legal_symbol_is_above_every_other():
    legal = np.array([[True, True, False], [False, False, True]])
    assert all_right(np.array([[0.2, 0.3, 0.1], [0.0, 0.1, 0.2]]), legal)
    assert not all_right(np.array([[0.2, 0.1, 0.1], [0.0, 0.1, 0.2]]), legal)


@pytest.mark.parametrize("hidden", [0, 1, 7])
def test_the_weight_count_is_that_of_the_arrays(hidden):
    symbols = 7
    outputs = np.zeros((1 + symbols + hidden, symbols))
    units = [np.zeros(1 + symbols + earlier + 1) for earlier in range(hidden)]
    assert weight_count(symbols, hidden) == outputs.size + sum(unit.size for unit in units)


# -- quickprop ---------------------------------------------------------------------------------------------------------


def test_quickprop_minimises_a_quadratic():
    curvature, minimum = np.array([0.5, 3.0, 20.0]), np.array([4.0, -1.0, 0.3])
    weights, optimizer = np.zeros(3), Quickprop((3,), epsilon=0.01, mu=1.75)
    for _ in range(60):
        weights = optimizer.step(weights, curvature * (weights - minimum))
    np.testing.assert_allclose(weights, minimum, atol=1e-8)


def test_a_quickprop_step_never_grows_by_more_than_mu_besides_the_gradient():
    optimizer, weights = Quickprop((1,), epsilon=0.1, mu=2.0), np.zeros(1)
    first = optimizer.step(weights, np.array([-1.0]))
    second = optimizer.step(first, np.array([-5.0]))
    np.testing.assert_allclose(first, 0.1)
    np.testing.assert_allclose(second - first, 2.0 * 0.1 + 0.1 * 5.0)


def test_a_row_added_to_quickprop_starts_with_gradient_descent():
    optimizer = Quickprop((1, 2), epsilon=0.1, mu=2.0)
    weights = optimizer.step(np.zeros((1, 2)), np.ones((1, 2)))
    optimizer.add_row()
    after = optimizer.step(np.concatenate([weights, np.zeros((1, 2))]), np.full((2, 2), 3.0))
    np.testing.assert_allclose(after[1], -0.3)
    np.testing.assert_allclose(after[0], weights[0] - 2.0 * 0.1 - 0.3)


# -- trials ------------------------------------------------------------------------------------------------------------


def test_a_first_symbol_is_remembered_over_a_few_steps():
    training, test = remembering(3), remembering(5)
    result = CascadeCorrelation().fit(training, test, seed=0, cap=100_000)
    assert result.solved
    assert 1 <= result.hidden_units <= 4
    assert result.weights == weight_count(5, result.hidden_units)
    assert result.presentations == 28 * sum(phase.epochs for phase in result.history) <= 100_000
    assert [phase.trained for phase in result.history] == ["outputs", "candidates"] * result.hidden_units + ["outputs"]


def test_a_trial_is_its_seed():
    training = remembering(3)
    first, again, other = (CascadeCorrelation().fit(training, training, seed=seed, cap=5_000) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_task_without_a_solution_ends_at_the_cap_or_at_the_last_unit():
    strings = remembering(2)
    impossible = Strings(strings.inputs, strings.lengths, strings.targets, np.roll(strings.legal, 1, axis=1))
    capped = CascadeCorrelation().fit(impossible, impossible, seed=0, cap=12 * 25 + 7)
    assert not capped.solved
    assert capped.presentations == 12 * 25
    small = CascadeCorrelation(max_units=2).fit(impossible, impossible, seed=0, cap=10**9)
    assert not small.solved
    assert small.hidden_units == 2


def test_a_test_set_predicted_wrongly_is_no_success():
    training = remembering(2)
    wrong = Strings(training.inputs, training.lengths, training.targets, np.roll(training.legal, 1, axis=1))
    assert CascadeCorrelation(max_units=4).fit(training, training, seed=0, cap=10**6).solved
    assert not CascadeCorrelation(max_units=4).fit(training, wrong, seed=0, cap=10**6).solved


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": np.array([0, 3])}, "lengths of at least 1"),
        ({"lengths": np.array([1, 1])}, "as many of each"),
        ({"targets": np.array([0, 1])}, "as many of each"),
        ({"inputs": np.array([0, 1, 2])}, "inputs has a symbol outside 0 to 1"),
    ],
)
def test_strings_that_do_not_fit_together_are_refused(change, message):
    right = {
        "inputs": np.array([0, 1, 1]),
        "lengths": np.array([1, 2]),
        "targets": np.array([1, 1, 0]),
        "legal": np.ones((3, 2), dtype=bool),
    }
    Strings(**right)
    with pytest.raises(InputError, match=message):
        Strings(**(right | change))
