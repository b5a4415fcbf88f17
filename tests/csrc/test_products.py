"""The kernels' matrix products and their sums over samples and steps, on every instruction set, by numbers that leave
nothing to rounding; and how far rounding may take the others."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csrc.linear_layer import draw, kernels, oracle
from equivalence.engines import instructions

_native = pytest.importorskip("longlag._native", reason="the compiled module was not built", exc_type=ImportError)

TYPES = [np.float32, np.float64]
BY_WEIGHTS = ("d_input_weights", "d_recurrent_weights", "d_bias", "d_projection")
SETS = _native.instruction_sets()


@given(
    steps=st.integers(1, 3),
    samples=st.integers(1, 70),
    inputs=st.integers(1, 40),
    hidden=st.integers(1, 40),
    projection=st.integers(0, 20),
    dtype=st.sampled_from(TYPES),
    lanes=st.sampled_from(["samples", "units"]),
    name=st.sampled_from(SETS),
    every=st.integers(0, 2),
    per_sample=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_products_of_whole_numbers_are_exact_whatever_the_sizes(
    steps, samples, inputs, hidden, projection, dtype, lanes, name, every, per_sample, seed
):
    problem = draw(np.random.default_rng(seed), steps, samples, inputs, hidden, projection)
    expected = oracle(problem)
    if not per_sample:
        expected |= {part: expected[part].sum(axis=0) for part in BY_WEIGHTS if part in expected}
    assert max(np.abs(value).max() for value in expected.values()) < 2**22  # far from what float32 cannot hold
    with instructions(name):
        found = kernels(_native, problem, dtype, lanes, every=every, per_sample=per_sample)
    assert found.keys() == expected.keys()
    for part, value in expected.items():
        np.testing.assert_array_equal(found[part], value, err_msg=part)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("lanes", ["samples", "units"])
@pytest.mark.parametrize("dtype", TYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("depth", [1, 3, 17, 400])
def test_a_product_is_off_by_no_more_than_its_terms_allow(name, lanes, dtype, depth):
    """n terms, each rounded once and added up in any order: within n units of rounding of the sum of their sizes."""
    rng = np.random.default_rng(depth)
    whole = draw(rng, 1, 5, depth, 3, 0)
    values = {part: rng.standard_normal(value.shape) for part, value in vars(whole).items() if value is not None}
    problem = type(whole)(**vars(whole) | values).cast(dtype)
    with instructions(name):
        found = kernels(_native, problem, dtype, lanes)["outputs"][0]
    rounding = np.finfo(dtype).eps / 2
    for b in range(5):
        for row in range(3):
            terms = [
                *zip(problem.input_weights[row], problem.inputs[0, b], strict=True),
                *zip(problem.recurrent_weights[row], problem.output[b], strict=True),
                (problem.bias[row], 1.0),
                (problem.cells[b, row], 1.0),
            ]
            products = [Fraction(float(w)) * Fraction(float(x)) for w, x in terms]
            bound = float(sum(map(abs, products))) * rounding * (len(products) + 1)
            assert abs(float(Fraction(float(found[b, row])) - sum(products))) <= bound
