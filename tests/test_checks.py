"""Checks of options: Python's numbers and NumPy's pass alike, True and False are no numbers."""

from __future__ import annotations

import dataclasses
import fractions
import math

import numpy as np
import pytest
import torch

from longlag import LSTM, CellSpec, Network
from longlag.checks import is_number, is_whole, one_of, whole_number
from longlag.errors import InputError, InputTypeError

INTEGERS = [np.int8, np.int64, np.uint16]


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_whole_numbers_of_python_and_numpy_become_pythons(value):
    assert is_whole(value)
    assert is_number(value)
    assert type(whole_number("n", value, 1)) is int


@pytest.mark.parametrize(
    "value", [True, np.True_, 1.0, np.float64(1), "1", None, [1], np.ones(1, int), 1j, torch.ones(1)]
)
def test_what_is_no_whole_number_is_refused_as_a_wrong_type(value):
    assert not is_whole(value)
    with pytest.raises(InputTypeError, match=r"^n is .*; expected a whole number of at least 1$"):
        whole_number("n", value, 1)


def test_a_whole_number_that_is_too_small_is_of_the_right_type():
    with pytest.raises(InputError, match=r"^n is 0; expected a whole number of at least 1$") as caught:
        whole_number("n", 0, 1)
    assert not isinstance(caught.value, TypeError)


@pytest.mark.parametrize("value", [1, 1.5, np.float32(1.5), np.int64(2), fractions.Fraction(1, 3), 10**300])
def test_finite_numbers_are_numbers(value):
    assert is_number(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "1", None, 1j, 10**400, np.ones(1), torch.ones(())])
def test_what_is_not_finite_or_no_real_number_is_none(value):
    assert not is_number(value)


@pytest.mark.parametrize("value", ["c", None, ["a"], np.zeros(2), 1, {"a": 1}])
def test_a_choice_is_one_of_the_words(value):
    one_of("word", "a", ("a", "b"))
    with pytest.raises(InputError, match=r"^word is .*; expected one of a, b$"):
        one_of("word", value, ("a", "b"))


@pytest.mark.parametrize("integer", INTEGERS)
def test_layers_take_numpys_integers_and_keep_pythons(integer):
    cell = CellSpec(cells_per_block=integer(2), conventional_units=integer(1))
    lstm = LSTM(integer(3), integer(4), integer(2), proj_size=integer(2), cell=cell, checkpoint_every=integer(5))
    network = Network(lstm, integer(2))
    assert cell == CellSpec(cells_per_block=2, conventional_units=1)
    kept = [lstm.input_size, lstm.hidden_size, lstm.num_layers, lstm.proj_size, lstm.checkpoint_every]
    kept += [network.output_size, *dataclasses.astuple(lstm.sizes)[:2], cell.cells_per_block, cell.conventional_units]
    assert all(type(value) is int for value in kept)
    assert network(torch.zeros(5, 1, 3))[0].shape == (5, 1, 2)


def test_numpys_sharpness_is_written_as_a_number():
    assert CellSpec(sharpness=np.float32(2.5)).text == CellSpec(sharpness=2.5).text


@pytest.mark.parametrize("output_size", [1.5, True, None, "2", [2], np.float64(2), math.nan])
def test_a_network_refuses_outputs_that_are_no_whole_number(output_size):
    with pytest.raises(InputTypeError, match=r"^output_size is .*; expected a whole number of at least 1$"):
        Network(LSTM(2, 3), output_size)
