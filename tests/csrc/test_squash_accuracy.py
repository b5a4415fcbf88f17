"""exp, sigmoid and tanh of the CPU kernels, on every instruction set: how far from the exact value, and at the limits.

The oracles: for float32 NumPy's float64; for float64 mpmath, and on more points NumPy's longdouble where it is longer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import mpmath
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from equivalence.engines import instructions
from longlag import LSTM

_native = pytest.importorskip("longlag._native", reason="the compiled module was not built", exc_type=ImportError)

UNITS = {"exp": 1.5, "sigmoid": 2.5, "tanh": 2.0}
"""Units in the last place that a normal number may be off by. Measured on 10^8 points: 1.24, 2.48 and 2.43."""
EXACT: dict[str, Callable[[NDArray], NDArray]] = {
    "exp": np.exp,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
}
DIGITS: dict[str, Callable] = {
    "exp": mpmath.exp,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
}
TYPES = [np.float32, np.float64]
in_both_types = pytest.mark.parametrize("dtype", TYPES, ids=["float32", "float64"])
of_every_function = pytest.mark.parametrize("function", UNITS)


@pytest.fixture(params=_native.instruction_sets())
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    with instructions(request.param):
        yield request.param


def found(function: str, x: NDArray) -> NDArray:
    y = np.full_like(x, 77.0)
    evaluate = _native.evaluate32 if x.dtype == np.float32 else _native.evaluate64
    evaluate(function, x.ctypes.data, y.ctypes.data, x.size)
    return y


def off_by(y: NDArray, exact: NDArray) -> float:
    """The most units in the last place between y and ``exact``, which is longer, where that is a normal number of y's
    type: the kernels take what is smaller for zero."""
    info = np.finfo(y.dtype)
    normal = (np.abs(exact) >= info.tiny) & (np.abs(exact) <= info.max)
    y, exact = y[normal], exact[normal]
    unit = np.ldexp(exact.dtype.type(1), np.frexp(exact)[1] - info.nmant - 1)
    return float(np.max(np.abs(y.astype(exact.dtype) - exact) / unit))


# -- accuracy ------------------------------------------------------------------------------------------------------


@functools.cache
def numbers_of_every_kind() -> NDArray:
    """4 million float32 over the whole range of bit patterns."""
    x = np.arange(0, 2**32, 1021, dtype=np.uint32).view(np.float32)
    return x[~np.isnan(x)]


@functools.cache
def in_float64(function: str) -> NDArray:
    with np.errstate(over="ignore", under="ignore"):
        return EXACT[function](numbers_of_every_kind().astype(np.float64))


@pytest.mark.costly
@of_every_function
def test_float32_is_right_to_the_last_places_over_its_whole_range(instruction_set: str, function: str) -> None:
    x = numbers_of_every_kind()
    assert off_by(found(function, x), in_float64(function)) <= UNITS[function]


@functools.cache
def where_something_happens(count: int, dtype: type) -> NDArray:
    """Magnitudes from 1e-20 to 800, and numbers from -40 to 40 and from -750 to 750; seeded."""
    random = np.random.default_rng(6)
    sizes = np.exp(random.uniform(np.log(1e-20), np.log(800), count)) * random.choice([-1.0, 1.0], count)
    return np.concatenate([sizes, random.uniform(-40, 40, count), random.uniform(-750, 750, count)]).astype(dtype)


@functools.cache
def in_digits(function: str) -> NDArray:
    """Each as a sum of two float64."""
    rounded = []
    with mpmath.workdps(50):
        for x in where_something_happens(1000, np.float64):
            value = DIGITS[function](mpmath.mpf(float(x)))
            high = float(value)
            rounded.append((high, float(value - high) if np.isfinite(high) else 0.0))
    return np.array(rounded)


@of_every_function
def test_float64_is_right_to_the_last_places_against_fifty_digits(instruction_set: str, function: str) -> None:
    y, exact = found(function, where_something_happens(1000, np.float64)), in_digits(function)
    high, low = exact[:, 0], exact[:, 1]
    normal = (np.abs(high) >= np.finfo(np.float64).tiny) & np.isfinite(high)
    y, high, low = y[normal], high[normal], low[normal]
    assert np.max(np.abs((y - high) - low) / np.ldexp(1.0, np.frexp(high)[1] - 53)) <= UNITS[function]


@functools.cache
def in_longdouble(function: str) -> NDArray:
    return EXACT[function](where_something_happens(100_000, np.float64).astype(np.longdouble))


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="longdouble is no longer than float64 here")
@of_every_function
def test_float64_is_right_to_the_last_places_against_a_longer_float(instruction_set: str, function: str) -> None:
    assert (
        off_by(found(function, where_something_happens(100_000, np.float64)), in_longdouble(function))
        <= UNITS[function]
    )


# -- limits --------------------------------------------------------------------------------------------------------


@in_both_types
def test_the_limits_are_exact_and_nan_stays_nan(instruction_set: str, dtype: type) -> None:
    huge = np.finfo(dtype).max
    x = np.array([np.inf, huge, 1e4, -1e4, -huge, -np.inf, 0.0, -0.0, np.nan, -np.nan], dtype)
    for function, expected in {
        "exp": [np.inf, np.inf, np.inf, 0.0, 0.0, 0.0, 1.0, 1.0],
        "sigmoid": [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.5, 0.5],
        "tanh": [1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 0.0, -0.0],
    }.items():
        y = found(function, x)
        np.testing.assert_array_equal(y[:8], np.array(expected, dtype))
        np.testing.assert_array_equal(np.signbit(y[:8]), np.signbit(expected))
        assert np.isnan(y[8:]).all()


@in_both_types
@of_every_function
def test_results_stay_in_their_range_and_tanh_is_odd(instruction_set: str, dtype: type, function: str) -> None:
    x = where_something_happens(100_000, dtype)
    y = found(function, x)
    assert not np.isnan(y).any()
    lowest = {"exp": 0.0, "sigmoid": 0.0, "tanh": -1.0}[function]
    assert y.min() >= lowest
    assert y.max() <= (np.inf if function == "exp" else 1.0)
    if function == "tanh":
        np.testing.assert_array_equal(found(function, -x), -y)


@in_both_types
@of_every_function
def test_what_stands_beside_a_number_changes_nothing(instruction_set: str, dtype: type, function: str) -> None:
    """Every number of numbers is answered like each alone, and nothing is written behind the last."""
    x = where_something_happens(1000, dtype)[::50].copy()
    alone = np.concatenate([found(function, x[n : n + 1].copy()) for n in range(x.size)])
    for count in range(x.size + 1):
        y = np.full_like(x, 77.0)
        evaluate = _native.evaluate32 if dtype == np.float32 else _native.evaluate64
        evaluate(function, x.ctypes.data, y.ctypes.data, count)
        np.testing.assert_array_equal(y[:count], alone[:count])
        assert (y[count:] == 77.0).all()


def test_another_function_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="function is 'cosh'; expected one of exp, sigmoid, tanh"):
        found("cosh", np.zeros(1))


# -- denormal numbers ----------------------------------------------------------------------------------------------


@pytest.mark.costly
def test_the_callers_denormal_numbers_are_left_as_they_were(instruction_set: str) -> None:
    """The kernels take them for zero, which is a setting of the processor and of each thread's own."""
    torch.set_num_threads(2)
    small, many = np.array([1e-310]), torch.full((400_000,), 1e-310, dtype=torch.float64)

    def there() -> bool:
        shrunk = torch.full((400_000,), 1e-300, dtype=torch.float64) * 1e-10
        return bool((small * 1 != 0).all()) and bool((many * 1 != 0).all()) and bool((shrunk != 0).all())

    assert there()
    for x in (np.linspace(-3, 3, 1001, dtype=np.float32), np.linspace(-3, 3, 1001)):
        for function in UNITS:
            found(function, x)
            assert there()
    LSTM(8, 24, backend="native-units")(torch.randn(40, 150, 8))[0].sum().backward()  # worth two threads
    assert there()
