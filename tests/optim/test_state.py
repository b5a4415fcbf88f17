"""States of methods as tensors: every kind of field comes back as it was, and a kind that cannot is refused."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from longlag.errors import CheckpointError
from longlag.optim.state import PackedState


@dataclass
class Everything(PackedState):
    """One field of every kind."""

    tensor: Tensor
    number: float
    count: int
    flag: bool
    perhaps_tensor: Tensor | None = None
    perhaps_number: float | None = None
    perhaps_count: int | None = None
    listed: list[Tensor] = field(default_factory=list)
    named: dict[str, Tensor] = field(default_factory=dict)


TENSORS = st.lists(st.floats(width=32), max_size=3).map(torch.tensor)
NUMBERS = st.floats() | st.integers(-3, 3).map(float)
STATES = st.builds(
    Everything,
    TENSORS,
    NUMBERS,
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.none() | TENSORS,
    st.none() | NUMBERS,
    st.none() | st.integers(-3, 3),
    st.lists(TENSORS, max_size=12),
    st.dictionaries(st.text(), TENSORS, max_size=3),
)


def form(value: object) -> object:
    """A value by its type and bits, so that NaN equals itself and 1 is not 1.0."""
    if isinstance(value, Tensor):
        return value.dtype, value.shape, value.numpy().tobytes()
    if isinstance(value, list):
        return [form(entry) for entry in value]
    if isinstance(value, dict):
        return {key: form(entry) for key, entry in value.items()}
    return type(value), str(value)


@given(STATES)
def test_every_kind_of_field_comes_back_to_the_bit(state: Everything) -> None:
    packed = state.pack()
    assert all(isinstance(value, Tensor) for value in packed.values())
    assert form(vars(Everything.unpack(packed))) == form(vars(state))


def test_the_names_of_the_tensors_are_those_that_checkpoints_hold() -> None:
    one = torch.ones(1)
    state = Everything(one, 0.5, 3, True, listed=[one, one], named={"a.b": one})
    packed = state.pack()
    assert list(packed) == ["tensor", "number", "count", "flag", "listed.0", "listed.1", "named.a.b"]
    assert [packed[name].dtype for name in ("number", "count", "flag")] == [torch.float64, torch.int64, torch.bool]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": None}, "has no 'count'; expected that of a Everything"),
        ({"count": torch.ones(2)}, r"has 'count' of shape \(2,\); expected a number, as in a Everything"),
        ({"listed.1": torch.ones(1)}, "has an entry 'listed.1'; expected those of a Everything alone"),
        ({"other": torch.ones(1)}, "has an entry 'other'; expected those of a Everything alone"),
    ],
)
def test_tensors_of_another_state_are_refused(change: dict[str, Tensor | None], message: str) -> None:
    packed = Everything(torch.ones(1), 0.5, 3, True).pack() | change
    with pytest.raises(CheckpointError, match=f"^the optimiser's state {message}$"):
        Everything.unpack({name: value for name, value in packed.items() if value is not None})


def test_a_field_of_a_kind_that_would_be_lost_is_an_error_and_not_lost() -> None:
    @dataclass
    class Strange(PackedState):
        words: set[str]

    with pytest.raises(TypeError, match=r"^Strange.words is of type set\[str\]; expected a Tensor, float, int or bool"):
        Strange({"a"}).pack()
