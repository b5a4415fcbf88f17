"""The squashing functions of the GPU kernels: finite for every input, exact near zero, with the slopes of autograd."""

from __future__ import annotations

import math
from typing import get_args

import mpmath
import pytest
import torch
from torch import Tensor

from longlag.cell import Squash
from longlag.ops.squash import SQUASH

pytest.importorskip("triton", minversion="3.4")
import triton
import triton.language as tl

from longlag.ops.triton.launch import INTERPRETED
from longlag.ops.triton.squash import slope, squash

pytestmark = pytest.mark.interpreter
DEVICES = [
    pytest.param("cpu", marks=pytest.mark.skipif(not INTERPRETED, reason="the kernels were compiled for the GPU")),
    pytest.param("cuda", marks=pytest.mark.gpu),
]
on_every_device = pytest.mark.parametrize("device", DEVICES)
both_types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@triton.jit
def _apply(given, value, slopes, KIND: tl.constexpr, COUNT: tl.constexpr):
    at = tl.arange(0, COUNT)
    found = squash(tl.load(given + at), KIND)
    tl.store(value + at, found)
    tl.store(slopes + at, slope(found, KIND))


def applied(numbers: list[float], kind: Squash, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Values and slopes."""
    given = torch.tensor(numbers + [0.0] * (64 - len(numbers)), dtype=dtype, device=device)
    value, slopes = torch.empty_like(given), torch.empty_like(given)
    _apply[(1,)](given, value, slopes, KIND=kind, COUNT=64, enable_fp_fusion=True)
    return value[: len(numbers)].cpu(), slopes[: len(numbers)].cpu()


LIMITS = {"tanh": (-1.0, 1.0), "logistic": (0.0, 1.0), "logistic_pm1": (-1.0, 1.0), "logistic_pm2": (-2.0, 2.0)}


@on_every_device
@both_types
@pytest.mark.parametrize("kind", LIMITS)
def test_large_inputs_of_either_sign_reach_the_limits_and_no_nan(kind: Squash, dtype, device: str) -> None:
    value, slopes = applied([-1e4, -800.0, -math.inf, 1e4, 800.0, math.inf], kind, device, dtype)
    low, high = LIMITS[kind]
    assert value.tolist() == [low] * 3 + [high] * 3
    assert slopes.tolist() == [0.0] * 6


@on_every_device
@both_types
@pytest.mark.parametrize("kind", LIMITS)
def test_where_the_usual_formula_overflows_values_are_still_right(kind: Squash, dtype, device: str) -> None:
    numbers = [-88.0, -44.5, -20.0, 20.0, 44.5, 88.0]
    value, _ = applied(numbers, kind, device, dtype)
    expected = SQUASH[kind](torch.tensor(numbers, dtype=torch.float64)).to(dtype)
    # a device may flush what is smaller than the type's smallest normal number
    atol, rtol = torch.finfo(dtype).tiny, 1e-5 if dtype == torch.float32 else 1e-13
    torch.testing.assert_close(value, expected, rtol=rtol, atol=atol)


@on_every_device
@both_types
def test_tanh_keeps_every_digit_of_small_and_of_other_numbers(dtype, device: str) -> None:
    numbers = [sign * 10.0 ** (-power / 4) for power in range(-3, 25) for sign in (-1, 1)]
    numbers += [math.nextafter(0.25, 0.0), 0.25, 1e-30, 0.0]
    numbers = torch.tensor(numbers, dtype=dtype).tolist()
    value, _ = applied(numbers, "tanh", device, dtype)
    with mpmath.workdps(30):
        expected = torch.tensor([float(mpmath.tanh(x)) for x in numbers], dtype=torch.float64)
    error = (value.double() - expected).abs() / expected.abs().clamp(min=1e-300)
    # the device divides float32 to two units in the last place, and takes exponentials to two
    assert float(error.max()) <= 8 * torch.finfo(dtype).eps


@on_every_device
@pytest.mark.parametrize("kind", get_args(Squash))
def test_slopes_are_those_of_autograd(kind: Squash, device: str) -> None:
    numbers = torch.linspace(-3.0, 3.0, 13, dtype=torch.float64, requires_grad=True)
    value, slopes = applied(numbers.tolist(), kind, device, torch.float64)
    expected = SQUASH[kind](numbers)
    (gradient,) = torch.autograd.grad(expected.sum(), numbers)
    torch.testing.assert_close(value, expected.detach(), rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(slopes, gradient, rtol=1e-13, atol=1e-15)


@on_every_device
@pytest.mark.parametrize("kind", get_args(Squash))
def test_nan_stays_nan(kind: Squash, device: str) -> None:
    assert applied([math.nan], kind, device, torch.float32)[0].isnan().all()
