"""A layer stays on its own device, whatever PyTorch's default device is around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from equivalence.engines import BACKENDS
from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.nn import CrossEntropy, GaussianNLL, Loss, MeanSquaredError, QuantileLoss, SquaredError, init

RICH = CellSpec(cells_per_block=2, peepholes=True, gate_recurrence=True, conventional_units=1, biases="single")


@contextmanager
def _default(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


AROUND = {"with torch.device": torch.device, "set_default_device": _default}
around = pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)


def _lstm(cell: CellSpec | None = None, **options: Any) -> LSTM:
    torch.manual_seed(0)
    return LSTM(3, 4, cell=cell, dtype=torch.float64, **options)


def _flat(results: Any) -> list[Tensor]:
    if isinstance(results, PackedSequence):
        return [results.data]
    return [results] if isinstance(results, Tensor) else [part for result in results for part in _flat(result)]


def _assert_same(results: Any, expected: Any) -> None:
    for ours, theirs in zip(_flat(results), _flat(expected), strict=True):
        assert ours.device.type == "cpu"
        assert torch.equal(ours, theirs)


INPUT = torch.randn(5, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
LENGTHS = torch.tensor([5, 0, 3])
PACKED = pack_sequence([INPUT[:, 0], INPUT[:3, 1], INPUT[:2, 2]])
CALLS: dict[str, Callable[[LSTM], Any]] = {
    "full": lambda lstm: lstm(INPUT),
    "ragged": lambda lstm: lstm(INPUT, lengths=LENGTHS),
    "lengths in a list": lambda lstm: lstm(INPUT, lengths=[5, 0, 3]),
    "unbatched": lambda lstm: lstm(INPUT[:, 0], lengths=[4]),
    "packed": lambda lstm: lstm(PACKED),
    "a state of its own": lambda lstm: lstm(INPUT, lstm.initial_state(3)),
    "initial_state": lambda lstm: lstm.initial_state(3),
    "step": lambda lstm: lstm.step(INPUT[0], lstm.initial_state(3)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("cell", [None, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_layer_runs_where_it_is(backend: str, cell: CellSpec | None, call: Callable[[LSTM], Any]) -> None:
    if backend == "torch" and cell is not None:
        pytest.skip("PyTorch's kernels know the plain cell alone")
    lstm = _lstm(cell, backend=backend, bidirectional=call is not CALLS["step"])
    expected = call(lstm)
    with torch.device("meta"):
        results = call(lstm)
    _assert_same(results, expected)


@around
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_are_where_the_layer_is(backend: str, around: Any) -> None:
    lstm = _lstm(backend=backend)
    for weight in lstm.parameters():
        weight.grad = None
    lstm(INPUT, lengths=LENGTHS)[0].square().sum().backward()
    expected = [weight.grad for weight in lstm.parameters()]
    lstm.zero_grad()
    with around("meta"):
        lstm(INPUT, lengths=LENGTHS)[0].square().sum().backward()
    _assert_same([weight.grad for weight in lstm.parameters()], expected)


RECIPES: dict[str, Callable[[LSTM], None]] = {
    "uniform_": init.uniform_,
    "hochreiter1997_": lambda lstm: init.hochreiter1997_(lstm, output_gate_bias=[-1.0] * 4),
    "forget_bias_": init.forget_bias_,
    "shut_": init.shut_,
    "chrono_": lambda lstm: init.chrono_(lstm, 20),
    "sparse_": init.sparse_,
}


@around
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_an_initialisation_draws_the_same_numbers(recipe: Callable[[LSTM], None], around: Any) -> None:
    lstm = _lstm(CellSpec(peepholes=True), learn_sharpness=True)
    torch.manual_seed(7)
    recipe(lstm)
    expected = [weight.clone() for weight in lstm.parameters()]
    torch.manual_seed(7)
    with around("meta"):
        recipe(lstm)
    _assert_same(list(lstm.parameters()), expected)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_layer_without_numbers_is_initialised_in_silence(recipe: Callable[[LSTM], None]) -> None:
    lstm = _lstm(learn_sharpness=True, device="meta")
    recipe(lstm)
    assert all(weight.is_meta for weight in lstm.parameters())


LOSSES = [SquaredError(), MeanSquaredError("samples"), CrossEntropy("sum"), GaussianNLL(), QuantileLoss([0.1, 0.9])]


@around
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_losses_and_networks_stay_where_the_batch_is(loss: Loss, around: Any) -> None:
    batch = SequenceBatch.every_step([INPUT[:, 0], INPUT[:3, 1]], [INPUT[:, 0, :2], INPUT[:3, 1, :2]])
    network = Network(_lstm(), loss.outputs_for(2), reads="cells+inputs")
    expected = loss(network.respond(batch)[0], batch), loss.for_curvature()(network.respond(batch)[0], batch)
    with around("meta"):
        results = loss(network.respond(batch)[0], batch), loss.for_curvature()(network.respond(batch)[0], batch)
    _assert_same(results, expected)


@around
def test_output_units_are_where_their_layer_is(around: Any) -> None:
    lstm = _lstm()
    with around("meta"):
        network = Network(lstm, 2)
    assert all(weight.device.type == "cpu" for weight in network.parameters())
