"""Feeding a network its own answers, against loops written by hand, one sequence and one step at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.errors import InputError
from longlag.gradients import Backpropagation, Gradient, ScheduledSampling, free_run
from longlag.nn import Loss, SquaredError
from longlag.training import Schedule, TrainingConfig, train

EXACT = 1e-12
Feedback = Callable[[Tensor], Tensor]


def made(inputs: int = 3, outputs: int = 2, **options: Any) -> Network:
    return Network(LSTM(inputs, 3, dtype=torch.float64, **options), outputs, reads=options.pop("reads", "cells"))


def samples(lengths: tuple[int, ...] = (4, 1, 6, 3), inputs: int = 3, outputs: int = 2) -> SequenceBatch:
    return SequenceBatch.every_step(
        [torch.randn(steps, inputs, dtype=torch.float64) for steps in lengths],
        [torch.randn(steps, outputs, dtype=torch.float64) for steps in lengths],
    )


def free_by_hand(
    network: Network, batch: SequenceBatch, columns: int, emit: Feedback = lambda outputs: outputs
) -> tuple[Tensor, Gradient]:
    """Half the squared error of a sequence's own answers, averaged over its steps and then over sequences."""
    total = torch.zeros((), dtype=torch.float64)
    for b, length in enumerate(batch.lengths.tolist()):
        state = network.lstm.initial_state(1)
        errors = []
        for t in range(length):
            given = batch.inputs[t, b].clone()
            if t:
                given[:columns] = emit(output.detach()[None])[0]  # noqa: F821
            shaped = given[None, None]
            output, state = network(shaped, state)
            output = output[0, 0]
            errors.append(0.5 * (output - batch.targets[t, b]).square().sum())
        total = total + torch.stack(errors).mean() / len(batch)
    return total.detach(), torch.autograd.grad(total, list(network.parameters()))


def assert_close(found: tuple[Tensor, Gradient], expected: tuple[Tensor, Gradient]) -> None:
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=EXACT)
    for one, other in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=EXACT)


def equal(found: tuple[Tensor, Gradient], expected: tuple[Tensor, Gradient]) -> bool:
    return torch.equal(found[0], expected[0]) and all(
        torch.equal(one, other) for one, other in zip(found[1], expected[1], strict=True)
    )


NETWORKS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2},
    {"batch_first": True},
    {"cell": CellSpec.batch2013(cells_per_block=1)},
    {"cell": CellSpec(peepholes=True), "gradient": "truncated"},
]


@pytest.mark.parametrize("options", NETWORKS, ids=str)
def test_teacher_forcing_is_backpropagation_to_the_bit(options: dict[str, Any]) -> None:
    """Either follows the paths that the layer names."""
    network, batch = made(**options), samples()
    found = ScheduledSampling(2, sampling_probability=0.0).value_and_gradient(network, SquaredError(), batch)
    assert equal(found, Backpropagation().value_and_gradient(network, SquaredError(), batch))


@pytest.mark.parametrize("options", NETWORKS, ids=str)
def test_free_running_is_a_loop_written_by_hand(options: dict[str, Any]) -> None:
    network, batch = made(**options), samples()
    found = ScheduledSampling(2, sampling_probability=1.0).value_and_gradient(network, SquaredError(), batch)
    network.lstm.batch_first = False
    assert_close(found, free_by_hand(network, batch, 2))
    assert float((found[0] - Backpropagation().value_and_gradient(network, SquaredError(), batch)[0]).abs()) > 1e-4


def squeezed(outputs: Tensor) -> Tensor:
    """One value to feed back out of two outputs."""
    return outputs.prod(-1, keepdim=True).tanh()


def test_what_is_fed_back_may_be_made_of_the_outputs() -> None:
    network, batch = made(), samples()
    found = ScheduledSampling(1, sampling_probability=1.0, feedback=squeezed).value_and_gradient(
        network, SquaredError(), batch
    )
    assert_close(found, free_by_hand(network, batch, 1, squeezed))


def test_all_inputs_may_be_fed_back() -> None:
    network, batch = made(inputs=2), samples(inputs=2)
    assert_close(
        ScheduledSampling(2, sampling_probability=1.0).value_and_gradient(network, SquaredError(), batch),
        free_by_hand(network, batch, 2),
    )


@pytest.mark.parametrize("own", [0.0, 1.0])
def test_padding_changes_no_bit(own: float) -> None:
    network, batch = made(), samples()
    engine, found = ScheduledSampling(2, sampling_probability=own), []
    for value in (0.0, float("nan"), float("inf")):
        batch.inputs[~batch.step_mask] = value
        batch.targets[~batch.step_mask] = value
        found.append(engine.value_and_gradient(network, SquaredError(), batch))
    assert all(equal(found[0], other) for other in found[1:])


def test_a_sequence_does_not_depend_on_its_neighbours() -> None:
    network, batch = made(), samples()
    engine = ScheduledSampling(2, sampling_probability=1.0)
    outputs = engine.respond(network, batch)
    for b, length in enumerate(batch.lengths.tolist()):
        alone = engine.respond(network, batch.select(torch.tensor([b])))
        torch.testing.assert_close(outputs[:length, b : b + 1], alone, rtol=0, atol=EXACT)


def test_sequences_without_steps_are_no_trouble() -> None:
    network, batch = made(), samples((2, 3))
    nothing = batch.select(torch.tensor([], dtype=torch.int64))
    mask = batch.target_mask & torch.tensor([False, True])
    mixed = SequenceBatch(batch.inputs, torch.tensor([0, 3]), batch.targets, mask)
    for own in (0.0, 1.0):
        engine = ScheduledSampling(2, sampling_probability=own)
        assert engine.respond(network, nothing).shape == (0, 0, 2)
        assert engine.respond(network, batch.window(0, 0)).shape == (0, 2, 2)
        found = engine.value_and_gradient(network, SquaredError("sum"), mixed)
        assert_close(found, engine.value_and_gradient(network, SquaredError("sum"), batch.select(torch.tensor([1]))))


# -- between the two ---------------------------------------------------------------------------------------------------

MARK = 7.0


def fed(own: float, columns: int = 2) -> Tensor:
    """(T, B, columns) what a network sees: true where its own answers stand, which are marked."""
    network = made()
    zeros = [torch.zeros(60, 3, dtype=torch.float64) for _ in range(50)]
    batch = SequenceBatch.every_step(zeros, [torch.zeros(60, 2)] * 50)
    seen: list[Tensor] = []
    network.lstm.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    engine = ScheduledSampling(
        columns, sampling_probability=own, feedback=lambda outputs: torch.full((50, columns), MARK).double()
    )
    with torch.no_grad():
        engine.respond(network, batch)
    inputs = torch.cat(seen)
    assert inputs.shape == (60, 50, 3)
    assert bool(((inputs == 0) | (inputs == MARK)).all())
    assert not bool((inputs[..., columns:] == MARK).any())  # other inputs are never replaced
    return inputs[..., :columns] == MARK


@pytest.mark.parametrize("own", [0.2, 0.5, 0.9])
def test_the_share_of_own_answers_is_the_probability(own: float) -> None:
    found = fed(own)
    assert not bool(found[0].any())  # nothing has been answered before the first step
    assert bool((found[..., 0] == found[..., 1]).all())  # an answer is fed back whole or not at all
    share = found[1:, :, 0].double()
    deviation = (own * (1 - own)) ** 0.5
    assert float(share.mean()) == pytest.approx(own, abs=4 * deviation / share.numel() ** 0.5)
    # each step of each sequence has a throw of its own: means over 50 and 59 throws spread as independent ones do
    assert float(share.mean(1).std()) == pytest.approx(deviation / 50**0.5, rel=0.4)
    assert float(share.mean(0).std()) == pytest.approx(deviation / 59**0.5, rel=0.4)


def test_at_the_ends_nothing_is_left_to_chance() -> None:
    assert not bool(fed(0.0).any())
    assert bool(fed(1.0)[1:].all())


def test_the_throws_follow_torchs_seed() -> None:
    network, batch, engine = made(), samples((20, 20)), ScheduledSampling(2, sampling_probability=0.5)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(engine.value_and_gradient(network, SquaredError(), batch))
    assert equal(found[0], found[1])
    assert not equal(found[0], found[2])


# -- free running ------------------------------------------------------------------------------------------------------


def doubled(outputs: Tensor) -> Tensor:
    return 2.0 * outputs


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("emit", [None, doubled])
@pytest.mark.parametrize("extra", [0, 2])
def test_free_run_is_stepping_by_hand(extra: int, emit: Feedback | None, batch_first: bool) -> None:
    network = made(inputs=2 + extra, batch_first=batch_first)
    network.lstm.batch_first = False
    _, warm = network(torch.randn(5, 3, 2 + extra, dtype=torch.float64))
    warm = tuple(part.detach() for part in warm)
    first, others = torch.randn(3, 2, dtype=torch.float64), torch.randn(4, 3, extra, dtype=torch.float64)
    expected = []
    for b in range(3):
        value, state = first[b], tuple(part[:, b : b + 1] for part in warm)
        for t in range(4):
            output, state = network(torch.cat([value, others[t, b]])[None, None], state)
            value = output[0, 0].detach() * (1.0 if emit is None else 2.0)
            expected.append(value)
    network.lstm.batch_first = batch_first
    found = free_run(network, first, warm, 4, feedback=emit, others=others if extra else None)
    assert not found.requires_grad
    torch.testing.assert_close(found, torch.stack(expected).view(3, 4, 2).transpose(0, 1), rtol=0, atol=EXACT)


def test_free_run_leaves_what_it_is_given_as_it_was() -> None:
    network = made(inputs=2)
    first, state = torch.randn(3, 2, dtype=torch.float64), network.lstm.initial_state(3)
    before = first.clone()
    one = free_run(network, first, state, 3)
    assert torch.equal(first, before)
    assert all(not bool(part.any()) for part in state)
    assert torch.equal(free_run(network, first, state, 5)[:3], one)


def test_a_free_run_of_no_steps_is_empty() -> None:
    network = made(inputs=2)
    assert free_run(network, torch.zeros(3, 2, dtype=torch.float64), network.lstm.initial_state(3), 0).shape == (
        0,
        3,
        2,
    )


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(InputError, match=r"^columns is 0; expected at least 1 fed-back feature$"):
        ScheduledSampling(0)
    for own in (-0.1, 1.1, float("nan")):
        with pytest.raises(
            InputError, match=f"^sampling_probability is {own}; expected a probability between 0 and 1$"
        ):
            ScheduledSampling(1, sampling_probability=own)
        engine = ScheduledSampling(1, sampling_probability=0.5)
        with pytest.raises(InputError, match=r"^sampling_probability is "):
            engine.sampling_probability = own
        assert engine.sampling_probability == 0.5


@pytest.mark.parametrize("own", [0.0, 1.0])
def test_more_columns_than_inputs_are_refused(own: float) -> None:
    engine = ScheduledSampling(2, sampling_probability=own)
    with pytest.raises(InputError, match=r"^columns is 2, but inputs have 1 features; expected no more$"):
        engine.value_and_gradient(made(inputs=1), SquaredError(), samples(inputs=1))


@pytest.mark.parametrize(
    ("columns", "emit", "shape"),
    [
        (1, None, (4, 2)),
        (3, None, (4, 2)),
        (2, squeezed, (4, 1)),
        (1, lambda outputs: outputs[:, 0], (4,)),
        (2, lambda outputs: outputs[:1], (1, 2)),
    ],
)
def test_answers_that_do_not_fit_the_inputs_are_refused(
    columns: int, emit: Feedback | None, shape: tuple[int, ...]
) -> None:
    message = f"the values to feed back have shape {shape}; expected (4, {columns})"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        ScheduledSampling(columns, sampling_probability=1.0, feedback=emit).respond(made(), samples())
    network = made(inputs=columns)
    first = torch.zeros(4, columns, dtype=torch.float64)
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        free_run(network, first, network.lstm.initial_state(4), 2, feedback=emit)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, "steps is -1; expected at least 0"),
        ({"first": torch.zeros(2)}, "first has shape (2,); expected (batch, fed-back values)"),
        (
            {"others": torch.zeros(2, 3, 1)},
            "others has shape (2, 3, 1); expected (steps, batch, features) = (4, 3, ...)",
        ),
        (
            {"others": torch.zeros(4, 1, 1)},
            "others has shape (4, 1, 1); expected (steps, batch, features) = (4, 3, ...)",
        ),
        ({"others": torch.zeros(4, 3)}, "others has shape (4, 3); expected (steps, batch, features) = (4, 3, ...)"),
        ({"first": torch.zeros(3, 1, dtype=torch.float64)}, "must be equal to input_size. Expected 2, got 1"),
    ],
)
def test_a_free_run_of_wrong_sizes_is_refused(options: dict[str, Any], message: str) -> None:
    network = made(inputs=2)
    given = {"first": torch.zeros(3, 2, dtype=torch.float64), "state": network.lstm.initial_state(3), "steps": 4}
    with pytest.raises(InputError, match=re.escape(message)):
        free_run(network, **{**given, **options})


def test_a_bidirectional_network_is_refused() -> None:
    network = made(bidirectional=True)
    for own in (0.0, 1.0):
        with pytest.raises(InputError, match=r"^scheduled sampling reads step by step"):
            ScheduledSampling(2, sampling_probability=own).respond(network, samples())
    with pytest.raises(InputError, match=r"^free running reads step by step"):
        free_run(network, torch.zeros(1, 2), network.lstm.initial_state(1), 1)


# -- what it is for ----------------------------------------------------------------------------------------------------


@pytest.mark.costly
def test_a_network_taught_by_scheduled_sampling_continues_a_sine() -> None:
    network = Network(LSTM(1, 8), 1)
    steps = torch.arange(26) * 0.5
    waves = torch.stack([torch.sin(steps + phase) for phase in torch.linspace(0, 6, 8)])[..., None]  # (8, 26, 1)
    data = SequenceBatch.every_step(list(waves[:, :-1]), list(waves[:, 1:]))
    unseen = torch.sin(torch.arange(41) * 0.5 + 0.4)[:, None, None]

    def error() -> float:
        """Twenty steps of a sine it was not taught, continued after twenty."""
        with torch.no_grad():
            _, state = network(unseen[:20])
        found = free_run(network, unseen[20], state, 20)
        return float((found - unseen[21:]).square().mean())

    loss: Loss = SquaredError()
    before = error()
    config = TrainingConfig(
        learning_rate=0.03,
        max_epochs=60,
        batch_size=8,
        sampling_probability=Schedule(0.0, 0.8, "linear"),
        clip_norm=1.0,
    )
    train(network, loss, data, config, sampling=ScheduledSampling(1))
    assert before > 0.3
    assert error() < 0.2 * before
