"""TruncatedBPTT.windows: one value and gradient after another, with a graph no longer than a window."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import Tensor

from equivalence.compare import distance
from longlag import LSTM, Network, SequenceBatch
from longlag.errors import InputError
from longlag.gradients import Backpropagation, TruncatedBPTT
from longlag.nn import Loss, SquaredError
from longlag.ops.paths import FULL, TRUNCATED


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def problem(*lengths: int) -> tuple[Network, Loss, SequenceBatch]:
    network = Network(LSTM(2, 3, dtype=torch.float64), 1)
    inputs, targets = [double(length, 2) for length in lengths], [double(length, 1) for length in lengths]
    return network, SquaredError(), SequenceBatch.every_step(inputs, targets)


@pytest.mark.parametrize(("k1", "k2"), [(3, 5), (4, 4), (5, 2), (20, 3), (1, 1)])
def test_values_add_up_to_the_whole_loss_and_gradients_to_the_engines(k1: int, k2: int) -> None:
    network, loss, batch = problem(12, 7)
    windows = list(TruncatedBPTT(k1, k2).windows(network, loss, batch))
    assert len(windows) == -(-12 // k1)
    value, gradient = TruncatedBPTT(k1, k2).value_and_gradient(network, loss, batch)
    assert distance([value], [Backpropagation().value_and_gradient(network, loss, batch)[0]]) <= 1e-12
    assert distance([sum(value for value, _ in windows)], [value]) <= 1e-12
    sums = [sum(parts) for parts in zip(*(gradient for _, gradient in windows), strict=True)]
    assert distance(sums, gradient) <= 1e-12


def test_each_window_may_have_its_own_mean() -> None:
    network, loss, batch = problem(12, 7)
    outputs, _ = network.respond(batch)
    windows = TruncatedBPTT(4, 2).windows(network, loss, batch, each_its_own_mean=True)
    for number, (value, _) in enumerate(windows):
        start, stop = 4 * number, 4 * number + 4
        own = loss(outputs[start:stop].detach(), batch.window(start, stop))
        assert distance([value], [own]) <= 1e-12


def most_kept(k1: int, k2: int, steps: int) -> int:
    """The most tensors that graphs keep at one moment."""
    network = Network(LSTM(2, 3, dtype=torch.float64, backend="reference"), 1)
    batch = SequenceBatch.every_step([double(steps, 2)], [double(steps, 1)])
    alive = most = 0

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            nonlocal alive, most
            self.tensor = tensor
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        for _ in TruncatedBPTT(k1, k2).windows(network, SquaredError(), batch):
            pass
    return most


@pytest.mark.parametrize(("k1", "k2"), [(2, 4), (3, 3), (4, 1)])
def test_what_is_kept_does_not_grow_with_the_sequence(k1: int, k2: int) -> None:
    assert most_kept(k1, k2, 12) == most_kept(k1, k2, 36)
    assert most_kept(36, 36, 36) > 3 * most_kept(k1, k2, 36)


@pytest.mark.parametrize(("k1", "k2"), [(2, 4), (3, 3), (4, 1)])
def test_what_a_window_gives_has_no_graph(k1: int, k2: int) -> None:
    for value, gradient in TruncatedBPTT(k1, k2).windows(*problem(12, 7)):
        assert not any(part.requires_grad for part in (value, *gradient))


def test_parameters_may_change_between_windows() -> None:
    """Each window is run with the parameters of its time, from the state that the earlier ones left."""
    network, loss, batch = problem(12, 6)
    values = []
    for value, gradient in TruncatedBPTT(3, 3).windows(network, loss, batch):
        values.append(value)
        with torch.no_grad():
            for parameter, slope in zip(network.parameters(), gradient, strict=True):
                parameter -= 0.5 * slope

    torch.manual_seed(0)
    network, loss, batch = problem(12, 6)  # the same again
    state, expected = network.lstm.initial_state(len(batch)), []
    weights = loss.weights(batch)
    for start in range(0, 12, 3):
        window = batch.window(start, start + 3)
        outputs, state = network.respond(window, tuple(part.detach() for part in state))
        value = loss(outputs, window, weights[start : start + 3])
        expected.append(value)
        slopes = torch.autograd.grad(value, list(network.parameters()))
        with torch.no_grad():
            for parameter, slope in zip(network.parameters(), slopes, strict=True):
                parameter -= 0.5 * slope
    assert distance(values, expected) <= 1e-12
    assert distance([sum(values)], [Backpropagation().value_and_gradient(network, loss, batch)[0]]) > 1e-3


@pytest.mark.parametrize(("k1", "k2"), [(3, 3), (4, 2), (1, 1)])
def test_a_shorter_companion_changes_nothing_while_parameters_change(k1: int, k2: int) -> None:
    """Its last window begins elsewhere; the longer sequence goes on from the states it had, not from new ones."""
    network, _, batch = problem(12, 7)
    mask = batch.target_mask.clone()
    mask[:, 1] = False
    found = []
    for each in (dataclasses.replace(batch, target_mask=mask), batch.select(torch.tensor([0]))):
        changing, values = copy.deepcopy(network), []
        for value, gradient in TruncatedBPTT(k1, k2).windows(changing, SquaredError("sum"), each):
            values += [value, *gradient]
            with torch.no_grad():
                for parameter in changing.parameters():
                    parameter *= 0.9
        found.append(values)
    assert distance(*found) <= 1e-12


@pytest.mark.parametrize(("k1", "k2", "wrong"), [(0, 1, "k1 is 0"), (1, 0, "k2 is 0"), (-2, 1, "k1 is -2")])
def test_windows_shorter_than_a_step_are_refused(k1: int, k2: int, wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        TruncatedBPTT(k1, k2)


def test_inside_a_window_error_takes_the_paths_that_the_layer_names() -> None:
    cut = Network(LSTM(2, 3, gradient="truncated", dtype=torch.float64), 1)
    whole = Network(LSTM(2, 3, dtype=torch.float64), 1)
    whole.load_state_dict(cut.state_dict())
    sequence, target = torch.randn(6, 2, dtype=torch.float64), torch.randn(1, 1, dtype=torch.float64)
    batch = SequenceBatch.last_step([sequence], target)
    gradients = []
    for network, paths in ((cut, TRUNCATED), (whole, FULL)):
        found = TruncatedBPTT(6, 6).value_and_gradient(network, SquaredError(), batch)[1]
        expected = Backpropagation(paths).value_and_gradient(whole, SquaredError(), batch)[1]
        assert distance(found, expected) <= 1e-12
        gradients.append(found)
    assert distance(*gradients) > 1e-3
