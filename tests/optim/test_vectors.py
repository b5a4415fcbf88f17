"""Small questions asked of flat vectors."""

from __future__ import annotations

import math

import pytest
import torch

from longlag.errors import InputError
from longlag.optim.vectors import check_theta, dot, finite, largest


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_entry_anywhere_is_found(bad: float) -> None:
    good, spoiled = torch.ones(3), torch.tensor([1.0, bad, 1.0])
    assert finite(good, good)
    assert not finite(good, spoiled)
    assert not finite(spoiled, good)
    with pytest.raises(InputError, match="theta has an entry that is not finite"):
        check_theta(spoiled)


def test_products_of_float32_vectors_are_summed_in_float64() -> None:
    one = torch.tensor([1.0, 1e-4, -1.0])
    assert dot(one, torch.tensor([1e5, 1.0, 1e5])) == pytest.approx(1e-4, rel=1e-6)


def test_the_largest_entry_is_the_largest_in_size() -> None:
    assert largest(torch.tensor([1.0, -3.0, 2.0])) == 3.0
    assert largest(torch.empty(0)) == 0.0
