"""The squashing functions against appendix A.1 of the 1997 paper, computed to 60 digits."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext

import pytest
import torch
from torch import Tensor

from longlag.ops.squash import SLOPE, SQUASH


def logistic(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())  # A.1


FORMULA: dict[str, Callable[[Decimal], Decimal]] = {
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    "logistic": logistic,
    "logistic_pm1": lambda x: 2 / (1 + (-x).exp()) - 1,  # A.2
    "logistic_pm2": lambda x: 4 / (1 + (-x).exp()) - 2,  # A.3
    "identity": lambda x: x,
}
DERIVATIVE: dict[str, Callable[[Decimal], Decimal]] = {
    "tanh": lambda x: 4 / (x.exp() + (-x).exp()) ** 2,
    "logistic": lambda x: logistic(x) * logistic(-x),
    "logistic_pm1": lambda x: 2 * logistic(x) * logistic(-x),
    "logistic_pm2": lambda x: 4 * logistic(x) * logistic(-x),
    "identity": lambda x: Decimal(1),
}
SIZES = [0.0, 1e-300, 1e-12, 1e-3, 0.1, 0.7, 1.0, 2.5, 7.0, 20.0, 36.0, 90.0, 700.0, 1e3, 1e4]
ARGUMENTS = [*(-size for size in reversed(SIZES)), *SIZES]


def in_digits(formula: Callable[[Decimal], Decimal]) -> Tensor:
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 60, 10**12, -(10**12)
        return torch.tensor([float(formula(Decimal(x))) for x in ARGUMENTS], dtype=torch.float64)


def test_every_squash_has_its_formula_here() -> None:
    assert set(FORMULA) == set(DERIVATIVE) == set(SQUASH) == set(SLOPE)


@pytest.mark.parametrize("name", FORMULA)
def test_a_squash_is_its_formula_for_arguments_of_any_size_and_sign(name: str) -> None:
    found, expected = SQUASH[name](torch.tensor(ARGUMENTS, dtype=torch.float64)), in_digits(FORMULA[name])
    assert bool(torch.isfinite(found).all())
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("name", FORMULA)
def test_a_slope_is_the_derivative_and_finite_for_arguments_of_any_size_and_sign(name: str) -> None:
    x = torch.tensor(ARGUMENTS, dtype=torch.float64, requires_grad=True)
    y = SQUASH[name](x)
    expected = in_digits(DERIVATIVE[name])
    torch.testing.assert_close(SLOPE[name](y.detach()), expected, rtol=1e-14, atol=1e-15)  # 1 - y^2 near y = 1
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", FORMULA)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_squash_is_finite_in_lower_precision(name: str, dtype: torch.dtype) -> None:
    x = torch.tensor(ARGUMENTS, dtype=dtype)
    found = SQUASH[name](x)
    assert found.dtype == dtype
    expected = SQUASH[name](x.double())
    torch.testing.assert_close(found.double(), expected, rtol=4 * torch.finfo(dtype).eps, atol=1e-30)
