"""A curvature that is known by its products alone, and the names it had before."""

from __future__ import annotations

import pytest
import torch

from longlag.nn import curvature
from longlag.nn.curvature import MatrixFreeCurvature

MATRIX = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
V = torch.tensor([1.0, -2.0], dtype=torch.float64)


def test_a_matrix_that_is_known_by_its_products_can_be_written_down():
    matrix = MatrixFreeCurvature(V, lambda v: MATRIX @ v)
    assert torch.equal(matrix @ V, MATRIX @ V)
    assert torch.equal(matrix.dense(), MATRIX)
    assert (matrix.is_stored, matrix.diagonal()) == (False, None)


def test_the_names_before_still_work_and_say_what_replaces_them():
    matrix = MatrixFreeCurvature(V, lambda v: MATRIX @ v)
    with pytest.warns(DeprecationWarning, match=r"curvature\.times\(v\) is now curvature @ v"):
        assert torch.equal(matrix.times(V), MATRIX @ V)
    with pytest.warns(DeprecationWarning, match=r"curvature\.cheap is now curvature\.is_stored"):
        assert matrix.cheap is False
    with pytest.warns(DeprecationWarning, match="MatrixFreeCurvature"):
        assert curvature.Products is MatrixFreeCurvature
