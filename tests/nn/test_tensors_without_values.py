"""Fake tensors and the meta device: shapes, types and devices come out, and no value is read."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from longlag import LSTM, Network
from nn.layers import CELLS

PLACES = {"fake": FakeTensorMode, "meta": lambda: torch.device("meta")}


def described(result) -> list[tuple[torch.Size, torch.dtype]]:
    outputs, state = result
    return [(part.shape, part.dtype) for part in (outputs, *state)]


def arguments(dtype: torch.dtype, ragged: bool, states: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...] | None, dict]:
    values = torch.zeros(5, 2, 3, dtype=dtype)
    lengths = {"lengths": torch.zeros(2, dtype=torch.int64) + 3} if ragged else {}
    return values, tuple(torch.zeros(part.shape, dtype=dtype) for part in states) or None, lengths


@pytest.mark.costly
@pytest.mark.parametrize("with_state", [False, True], ids=["no state", "state"])
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("place", PLACES)
def test_shapes_types_and_devices_of_a_layer_come_out(place, dtype, cell, ragged, with_state) -> None:
    options = {"num_layers": 2, "bidirectional": True, "dtype": dtype, "cell": cell}
    lstm = LSTM(3, 4, **options)
    states = list(lstm.initial_state(2)) if with_state else []
    values, hx, lengths = arguments(dtype, ragged, states)
    expected = described(lstm(values, hx, **lengths))
    with PLACES[place]():
        lstm = LSTM(3, 4, **options)
        values, hx, lengths = arguments(dtype, ragged, states)
        outputs, state = lstm(values, hx, **lengths)
        outputs.sum().backward()
        assert described((outputs, state)) == expected
        assert outputs.device.type == ("meta" if place == "meta" else "cpu")
        assert all(weight.grad is not None and weight.grad.shape == weight.shape for weight in lstm.parameters())


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("place", PLACES)
def test_shapes_of_a_network_come_out(place: str, ragged: bool) -> None:
    with PLACES[place]():
        network = Network(LSTM(3, 4, num_layers=2), 2)
        values, _, lengths = arguments(torch.float32, ragged, [])
        outputs, state = network(values, **lengths)
        assert described((outputs, state)) == [((5, 2, 2), torch.float32)] + [((2, 2, 4), torch.float32)] * 2


def test_a_layer_with_values_takes_fake_inputs() -> None:
    lstm = LSTM(3, 4)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert lstm(torch.zeros(5, 2, 3), lengths=torch.zeros(2, dtype=torch.int64))[0].shape == (5, 2, 4)


def test_lengths_in_a_list_are_taken_for_inputs_on_the_meta_device() -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.device("meta"))
        lstm = LSTM(3, 4)
    assert lstm(torch.zeros(5, 2, 3, device="meta"), lengths=[3, 2])[0].shape == (5, 2, 4)


def test_a_step_of_a_layer_on_the_meta_device_has_the_shapes_of_a_step() -> None:
    lstm = LSTM(3, 4, device="meta")
    with torch.no_grad():
        outputs, state = lstm.step(torch.zeros(2, 3, device="meta"), lstm.initial_state(2))
    assert outputs.shape == (2, 4)
    assert [part.device.type for part in state] == ["meta", "meta"]
