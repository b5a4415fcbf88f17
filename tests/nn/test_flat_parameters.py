"""Tensors as one flat vector, and back."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from longlag.nn.flat import assign, flattened, parts_of

SHAPES = st.lists(st.lists(st.integers(0, 3), max_size=3).map(tuple), min_size=1, max_size=4)


@given(SHAPES, st.booleans())
def test_a_vector_is_taken_apart_as_it_was_put_together(shapes: list[tuple[int, ...]], transposed: bool) -> None:
    tensors = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
    if transposed:
        tensors = [tensor.transpose(0, -1) if tensor.dim() > 1 else tensor for tensor in tensors]
    vector = flattened(tensors)
    assert vector.tolist() == [number for tensor in tensors for number in tensor.reshape(-1).tolist()]
    assert all(torch.equal(part, tensor) for part, tensor in zip(parts_of(vector, tensors), tensors, strict=True))
    others = [torch.nn.Parameter(torch.zeros_like(tensor)) for tensor in tensors]
    assign(others, vector)
    assert all(torch.equal(other, tensor) for other, tensor in zip(others, tensors, strict=True))
    before = vector.clone()
    vector.fill_(7.0)
    assert torch.equal(flattened(tensors), before)  # the vector was a copy
