"""The squashings of csrc/online and their slopes: how far from the exact ones, on every instruction set.

A net whose output units read nothing says y = squash(bias). At rate 1 the change of that bias is (t - y) dy/dnet.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from equivalence.engines import instructions
from longlag import CellSpec
from longlag.online.streams import ReadOptions, Stream
from longlag.online.topology import Topology

_native = pytest.importorskip("longlag._native", reason="the compiled module was not built", exc_type=ImportError)

VALUE_UNITS, SLOPE_UNITS = 4.0, 8.0
"""Units in the last place that a squashed value, and a slope with the product it is read from, may be off by. Measured
without AVX-512: 2.0 and 3.7; its inverse may be one unit off, and a slope has two of them."""


def exact(squash: str, net: Any) -> tuple[Any, Any]:
    """y and dy/dnet."""
    sigma = 1 / (1 + mpmath.exp(-net))
    slope = sigma / (1 + mpmath.exp(net))
    if squash == "logistic":
        return sigma, slope
    if squash == "tanh":
        return mpmath.tanh(net), mpmath.sech(net) ** 2
    scale = {"logistic_pm1": 2, "logistic_pm2": 4}[squash]
    return scale * (sigma - mpmath.mpf(1) / 2), scale * slope


def units(found: Any, value: Any, dtype: Any) -> float:
    """By how many units in the last place of ``value``, a normal number, ``found`` is off."""
    unit = mpmath.ldexp(1, int(mpmath.frexp(value)[1]) - np.finfo(dtype).nmant - 1)
    return float(abs(mpmath.mpf(float(found)) - value) / unit)


@pytest.mark.parametrize("name", _native.instruction_sets())
@pytest.mark.parametrize("lanes", ["networks", "units"])
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("squash", ["logistic", "tanh", "logistic_pm1", "logistic_pm2"])
def test_values_and_slopes_are_within_a_few_units_of_the_exact_ones(name, lanes, wide, squash):
    from longlag.online.networks import Networks

    dtype = np.float64 if wide else np.float32
    rng = np.random.default_rng(0)
    saturated = 300.0 if wide else 40.0
    nets = np.concatenate([rng.uniform(-4, 4, 120), rng.uniform(-saturated, saturated, 40), [1e-3, -1e-3, 1e-6, 0.5]])
    nets = nets.astype(dtype)
    topology = Topology(
        input_size=1,
        output_size=len(nets),
        hidden_size=1,
        cell=CellSpec.hochreiter1997(),
        output_activation=squash,
    )
    with instructions(name), mpmath.workdps(50):
        made = Networks(topology, 1, wide=wide, lanes=lanes)
        made.load(0, {"readout.bias": nets})
        stream = Stream(inputs=np.zeros((1, 1)), targets=np.full((1, len(nets)), 8.0))  # its sequence goes on:
        options = ReadOptions(learning_rate=1.0, update="sequence", outputs=True)  # the changes stay pending
        outputs = made.read([stream], options)[0].outputs
        changes = made.dump(0, ["readout.bias"], pending=True)["readout.bias"]
        for net, y, change in zip(nets, outputs[0], changes, strict=True):
            value, slope = exact(squash, mpmath.mpf(float(net)))
            assert units(y, value, dtype) <= VALUE_UNITS, net
            if slope > 1e-30:  # with units of rounding from t - y and the product
                assert units(change, (8 - mpmath.mpf(float(y))) * slope, dtype) <= SLOPE_UNITS, net
