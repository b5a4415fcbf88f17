"""The training loop: what it minimises, keeps, refuses and leaves alone."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.errors import DivergenceError, InputError
from longlag.gradients import ScheduledSampling
from longlag.nn import CrossEntropy, GaussianNLL, Loss, MeanSquaredError, QuantileLoss, SquaredError
from longlag.nn.losses import Reduction
from longlag.training import Schedule, TrainingConfig, TrainingResult, evaluate, train
from longlag.training.batches import plan

# RTRL differentiates forward, and torch meets its own deprecation when it loads what that takes.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

EXACT = 1e-12
STILL = 1e-30  # a learning rate that moves no weight by a bit
LENGTHS = (4, 2, 6, 3, 5)
NAN, INFINITY = float("nan"), float("inf")


def made(seed: int = 0, inputs: int = 2, **options: Any) -> Network:
    torch.manual_seed(seed)
    return Network(LSTM(inputs, 3, dtype=torch.float64, **options), 1)


def samples(seed: int = 1, lengths: tuple[int, ...] = LENGTHS, inputs: int = 2) -> SequenceBatch:
    generator = torch.Generator().manual_seed(seed)
    return SequenceBatch.every_step(
        [torch.randn(steps, inputs, dtype=torch.float64, generator=generator) for steps in lengths],
        [torch.randn(steps, 1, dtype=torch.float64, generator=generator) for steps in lengths],
    )


def asked_at(batch: SequenceBatch, chosen: Callable[[int, int], bool]) -> SequenceBatch:
    """The batch with answers only where ``chosen(step, sequence)`` says so."""
    steps, count = batch.target_mask.shape
    mask = torch.tensor([[chosen(t, b) for b in range(count)] for t in range(steps)])
    return SequenceBatch(batch.inputs, batch.lengths, batch.targets, mask & batch.target_mask)


def weights(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def without_times(result: TrainingResult) -> list[dict[str, Any]]:
    times = ("seconds", "sequences_per_second")
    return [{name: value for name, value in entry.items() if name not in times} for entry in result.history]


class Watching:
    """An observer that calls what it is given."""

    def __init__(
        self, batch: Callable[[int, int], None] = lambda *_: None, epoch: Callable[[int], None] = lambda _: None
    ) -> None:
        self.batch, self.epoch = batch, epoch
        self.seen: list[tuple[int, ...]] = []

    def batch_done(self, epoch: int, batch: int, batches: int, sequences: int, steps: int) -> None:
        self.seen.append((epoch, batch, batches, sequences, steps))
        self.batch(epoch, batch)

    def epoch_done(self, entry: dict[str, Any]) -> None:
        self.epoch(entry["epoch"])


# -- the loss that is reported -----------------------------------------------------------------------------------------


def loss_by_hand(network: Network, batch: SequenceBatch, reduction: Reduction) -> float:
    """Half the squared error, reduced as the loss's docstring says, one sequence at a time."""
    totals = []
    for b, length in enumerate(batch.lengths.tolist()):
        with torch.no_grad():
            outputs = network(batch.inputs[:length, b : b + 1])[0][:, 0, 0]
        errors = [
            0.5 * float(outputs[t] - batch.targets[t, b, 0]) ** 2 for t in range(length) if batch.target_mask[t, b]
        ]
        totals.append(sum(errors) / max(len(errors), 1) if reduction == "mean" else sum(errors))
    return sum(totals) if reduction == "sum" else sum(totals) / len(totals)


GRADIENTS: list[dict[str, Any]] = [
    {"gradient": "full"},
    {"gradient": "truncated"},
    {"gradient": "rtrl"},
    {"gradient": "tbptt", "k1": 2, "k2": 2},
    {"gradient": "tbptt", "k1": 4, "k2": 3},
    {"gradient": "tbptt", "k1": 1, "k2": 9},
]
ASKED: dict[str, Callable[[int, int], bool]] = {
    "every step": lambda t, b: True,
    "the last step": lambda t, b: t == LENGTHS[b] - 1,
    "some, and one sequence never": lambda t, b: b != 1 and (t + b) % 3 > 0,
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("reduction", ["mean", "samples", "sum"])
@pytest.mark.parametrize("gradient", GRADIENTS, ids=str)
def test_the_loss_of_an_epoch_is_the_loss_of_all_the_data(
    gradient: dict[str, Any], reduction: Reduction, asked: str
) -> None:
    network, batch = made(), asked_at(samples(), ASKED[asked])
    expected = loss_by_hand(network, batch, reduction)
    config = TrainingConfig(optimizer="sgd", learning_rate=STILL, max_epochs=1, batch_size=2, **gradient)
    result = train(network, SquaredError(reduction), batch, config, validation=batch)
    assert result.history[0]["loss"] == pytest.approx(expected, rel=EXACT)
    assert result.history[0]["validation"] == pytest.approx(expected, rel=EXACT)
    for size in (1, 2, 5, 256):
        assert evaluate(network, SquaredError(reduction), batch, size) == pytest.approx(expected, rel=EXACT)


def test_the_loss_of_no_sequences_is_zero() -> None:
    nothing = samples().select(torch.tensor([], dtype=torch.int64))
    assert [evaluate(made(), SquaredError(reduction), nothing) for reduction in ("mean", "samples", "sum")] == [0, 0, 0]


def test_an_observer_hears_of_every_batch_and_every_epoch() -> None:
    epochs: list[int] = []
    watching = Watching(epoch=epochs.append)
    data = samples()
    train(made(), SquaredError(), data, TrainingConfig(max_epochs=2, batch_size=2, seed=3), observer=watching)
    expected = []
    for epoch in range(2):
        for number, chosen in enumerate(plan(data.lengths, 2, bucket=True, seed=3, epoch=epoch)):
            expected.append((epoch, number, 3, len(chosen), int(data.lengths[chosen].sum())))
    assert watching.seen == expected
    assert epochs == [1, 2]


# -- what is kept, and when it ends ------------------------------------------------------------------------------------


def answers_of(network: Network, batch: SequenceBatch) -> SequenceBatch:
    """The batch with the network's own outputs as targets: its loss there is exactly zero."""
    with torch.no_grad():
        outputs = network.respond(batch)[0]
    return SequenceBatch(batch.inputs, batch.lengths, outputs, batch.target_mask)


def best_at(epoch: int, config: TrainingConfig) -> tuple[SequenceBatch, dict[str, Tensor], float]:
    """Validation data that is solved exactly after ``epoch`` epochs, with the weights and the sharpness of then."""
    network, wanted = made(), samples(2)
    found: list[tuple[SequenceBatch, dict[str, Tensor], float]] = []

    def note(done: int) -> None:
        if done == epoch:
            found.append((answers_of(network, wanted), weights(network), network.lstm.cell.sharpness))

    note(0)
    train(network, SquaredError(), samples(), config, observer=Watching(epoch=note))
    return found[0]


@pytest.mark.parametrize("best", [0, 1, 3, 6])
def test_the_parameters_and_the_sharpness_kept_are_those_of_the_best_validation_epoch(best: int) -> None:
    config = TrainingConfig(
        learning_rate=0.1, sharpness=Schedule(1.5, 3.0, "linear"), max_epochs=6, batch_size=2, clip_norm=1.0
    )
    validation, kept, sharpness = best_at(best, config)
    network = made()
    result = train(network, SquaredError(), samples(), config, validation=validation)
    assert (result.reason, result.epochs, result.best_epoch) == ("max_epochs", 6, best)
    assert same(weights(network), kept)
    assert network.lstm.cell.sharpness == sharpness == (1.0 if best == 0 else 1.5 + 0.3 * (best - 1))
    values = [entry["validation"] for entry in result.history]
    assert [number for number, value in enumerate(values, 1) if value < 1e-25] == ([best] if best else [])
    assert len(set(values)) == 6


def test_without_validation_the_last_parameters_are_kept() -> None:
    network, seen = made(), []
    watching = Watching(epoch=lambda _: seen.append(weights(network)))
    config = TrainingConfig(learning_rate=0.5, max_epochs=4, batch_size=2)
    result = train(network, SquaredError(), samples(), config, observer=watching)
    assert (result.reason, result.epochs, result.best_epoch) == ("max_epochs", 4, 4)
    assert same(weights(network), seen[-1])


@pytest.mark.parametrize(("best", "patience"), [(0, 1), (0, 3), (2, 1), (2, 3)])
def test_training_stops_after_so_many_epochs_without_a_better_one(best: int, patience: int) -> None:
    options: dict[str, Any] = {"learning_rate": 0.02, "max_epochs": 8, "batch_size": 5}
    validation, kept, _ = best_at(best, TrainingConfig(**options))
    network = made()
    config = TrainingConfig(**options, patience=patience)
    result = train(network, SquaredError(), samples(), config, validation=validation)
    values = [evaluate(made(), SquaredError(), validation), *(entry["validation"] for entry in result.history)]
    assert all(one > other for one, other in pairwise(values[: best + 1]))  # up to the best each is better
    assert (result.reason, result.epochs, result.best_epoch) == ("patience", best + patience, best)
    assert same(weights(network), kept)


def test_patience_that_lasts_to_the_end_is_not_the_reason() -> None:
    config = TrainingConfig(learning_rate=0.01, max_epochs=3, patience=2)
    result = train(made(), SquaredError(), samples(), config)
    assert (result.reason, result.epochs) == ("max_epochs", 3)


def test_without_validation_patience_follows_the_training_loss() -> None:
    """Nothing improves by a million: the first epoch is the best, and the two after it are waited for."""
    config = TrainingConfig(learning_rate=0.01, max_epochs=9, patience=2, min_delta=1e6)
    network = made()
    result = train(network, SquaredError(), samples(), config)
    assert (result.reason, result.epochs, result.best_epoch) == ("patience", 3, 3)


def test_an_improvement_counts_from_min_delta_on() -> None:
    data = samples()
    losses = [evaluate(made(), SquaredError(), data)]
    options: dict[str, Any] = {"learning_rate": 0.01, "max_epochs": 5}
    losses += [
        e["validation"] for e in train(made(), SquaredError(), data, TrainingConfig(**options), validation=data).history
    ]
    gains = [before - after for before, after in pairwise(losses)]
    assert min(gains) > 0
    for factor, best in ((0.9, 5), (1.1, 0)):
        config = TrainingConfig(**options, patience=2, min_delta=factor * (min(gains) if best else 2 * max(gains)))
        result = train(made(), SquaredError(), data, config, validation=data)
        assert (result.best_epoch, result.reason) == (best, "max_epochs" if best else "patience")


# -- truncated BPTT, the 1997 rule, RTRL -------------------------------------------------------------------------------


def windows_by_hand(network: Network, data: SequenceBatch, config: TrainingConfig, reduction: Reduction) -> None:
    """SGD with weight decay, one sequence at a time through each window of k1 steps.

    With k2 = k1 a window begins in the state that the one before ended in; a sequence's last one, if it is shorter,
    goes back k2 steps too: from the first state of the window before, at first without a graph. With k2 = T every
    window begins at the sequence's first step.
    """
    parameters, k1, k2 = list(network.parameters()), config.k1 or 0, config.k2 or 0
    for epoch in range(config.max_epochs):
        for chosen in plan(data.lengths, config.batch_size, bucket=True, seed=config.seed, epoch=epoch):
            carried = [{0: network.lstm.initial_state(1)} for _ in chosen]  # for each sequence its state before a step
            for start in range(0, int(data.lengths[chosen].max()), k1):
                total = torch.zeros((), dtype=torch.float64)
                for known, b in zip(carried, chosen.tolist(), strict=True):
                    stop = min(start + k1, int(data.lengths[b]))
                    if stop <= start:
                        continue
                    sequence, begin = data.inputs[:, b : b + 1], max(stop - k2, 0)
                    origin = max(step for step in known if step <= begin)
                    with torch.no_grad():
                        state = network(sequence[origin:begin], known[origin])[1] if begin > origin else known[origin]
                    outputs, state = network(sequence[begin:stop], state)
                    known[stop] = tuple(part.detach() for part in state)
                    mask = data.target_mask[start:stop, b]
                    errors = 0.5 * (outputs[start - begin :, 0] - data.targets[start:stop, b]).square().sum(-1)[mask]
                    scale = 1.0 if reduction == "sum" else 1.0 / len(chosen)
                    if reduction == "mean":
                        scale /= max(len(errors), 1)
                    total = total + scale * errors.sum()
                if not bool(data.target_mask[start : start + k1, chosen].any()):
                    continue
                slopes = torch.autograd.grad(total, parameters)
                with torch.no_grad():
                    for weight, slope in zip(parameters, slopes, strict=True):
                        weight -= config.learning_rate * (slope + config.weight_decay * weight)


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("reduction", ["mean", "samples", "sum"])
@pytest.mark.parametrize(("k1", "k2"), [(2, 2), (3, 3), (1, 1), (2, 9)])
def test_truncated_bptt_makes_one_update_per_window_that_asks_for_an_answer(
    k1: int, k2: int, reduction: Reduction, asked: str
) -> None:
    """Weight decay moves the weights even where the gradient is zero, so an update too many would show."""
    data = asked_at(samples(), ASKED[asked])
    config = TrainingConfig(
        optimizer="sgd", learning_rate=0.1, weight_decay=0.3, gradient="tbptt", k1=k1, k2=k2, max_epochs=2, batch_size=2
    )
    network, by_hand = made(), made()
    train(network, SquaredError(reduction), data, config)
    windows_by_hand(by_hand, data, config, reduction)
    assert_close(network, by_hand)


def assert_close(one: Network, other: Network) -> None:
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], rtol=0, atol=EXACT)


def distance(one: Network, other: Network) -> float:
    return max(float((value - other.state_dict()[name]).abs().max()) for name, value in one.state_dict().items())


def test_a_batch_that_asks_nothing_makes_no_update() -> None:
    options: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 0.3, "batch_size": 1}
    silent = asked_at(samples(), lambda t, b: b in (1, 3))
    network, by_hand = made(), made()
    result = train(network, SquaredError("sum"), silent, TrainingConfig(max_epochs=1, seed=4, **options))
    order = [int(chosen) for chosen in plan(silent.lengths, 1, bucket=True, seed=4, epoch=0)]
    total = 0.0
    for b in order:
        if b in (1, 3):
            alone = silent.select(torch.tensor([b]))
            total += train(by_hand, SquaredError("sum"), alone, TrainingConfig(max_epochs=1, **options)).history[0][
                "loss"
            ]
    assert same(weights(network), weights(by_hand))
    assert result.history[0]["loss"] == pytest.approx(total, rel=EXACT)


def test_every_gradient_trains_and_follows_its_own_rule() -> None:
    data = samples()
    options: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.2, "max_epochs": 3, "batch_size": 2}
    networks = {}
    for gradient in ("full", "truncated", "rtrl"):
        networks[gradient] = made()
        result = train(networks[gradient], SquaredError(), data, TrainingConfig(gradient=gradient, **options))
        assert result.history[-1]["loss"] < result.history[0]["loss"]
    # the layer's own backward() cuts the same paths
    by_layer = made(gradient="truncated")
    for epoch in range(3):
        for chosen in plan(data.lengths, 2, bucket=True, seed=0, epoch=epoch):
            batch = data.select(chosen)
            SquaredError()(by_layer.respond(batch)[0], batch).backward()
            with torch.no_grad():
                for weight in by_layer.parameters():
                    weight -= 0.2 * weight.grad
                    weight.grad = None
    assert_close(networks["truncated"], by_layer)
    assert_close(networks["rtrl"], networks["full"])
    assert distance(networks["truncated"], networks["full"]) > 1e-4


# -- dropout -----------------------------------------------------------------------------------------------------------


def test_units_are_dropped_in_training_and_never_in_validation() -> None:
    data = samples()
    network = made(num_layers=2, dropout=0.5)
    config = TrainingConfig(optimizer="sgd", learning_rate=STILL, max_epochs=3)
    result = train(network, SquaredError(), data, config, validation=data)
    expected = loss_by_hand(made(num_layers=2), data, "mean")
    assert [entry["validation"] for entry in result.history] == pytest.approx([expected] * 3, rel=EXACT)
    losses = [entry["loss"] for entry in result.history]
    assert len({expected, *losses}) == 4  # other units each time
    assert losses == pytest.approx([expected] * 3, rel=0.5)


# -- the seed decides, and nothing else --------------------------------------------------------------------------------


def trained(seed: int, **options: Any) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    network = made(num_layers=2, dropout=0.3)
    torch.manual_seed(options.pop("outside", 0))
    sampling = ScheduledSampling(1)
    config = TrainingConfig(max_epochs=3, batch_size=2, sampling_probability=0.5, seed=seed, **options)
    result = train(network, SquaredError(), samples(), config, sampling=sampling)
    return weights(network), without_times(result)


def test_the_same_seed_gives_the_same_bits_whatever_the_callers_random_numbers() -> None:
    expected, history = trained(1)
    for outside in (1, 99):
        found, again = trained(1, outside=outside)
        assert same(found, expected)
        assert again == history


def test_another_seed_gives_another_result() -> None:
    assert not same(trained(1)[0], trained(2)[0])


# -- what the caller finds as it was -----------------------------------------------------------------------------------


class Stop(Exception):
    """Raised by an observer."""


def stop(*_: int) -> None:
    raise Stop


class Spoiled(SquaredError):
    """A squared error that is NaN from its n-th call on."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.left -= 1
        return super().errors(outputs, targets) * (1.0 if self.left >= 0 else NAN)


def finished(network: Network) -> None:
    train(network, SquaredError(), samples(), TrainingConfig(max_epochs=1), validation=samples(3))


def stopped(network: Network) -> None:
    with pytest.raises(Stop):
        train(network, SquaredError(), samples(), TrainingConfig(max_epochs=1), observer=Watching(stop))


def stopped_after_validation(network: Network) -> None:
    config, watching = TrainingConfig(max_epochs=1), Watching(epoch=stop)
    with pytest.raises(Stop):
        train(network, SquaredError(), samples(), config, validation=samples(3), observer=watching)


def diverged(network: Network) -> None:
    with pytest.raises(DivergenceError):
        train(network, Spoiled(2), samples(), TrainingConfig(max_epochs=9))


def refused(network: Network) -> None:
    with pytest.raises(InputError):
        train(network, SquaredError(), samples(inputs=3), TrainingConfig(max_epochs=1))


@pytest.mark.parametrize("ending", [finished, stopped, stopped_after_validation, diverged, refused])
@pytest.mark.parametrize("training", [True, False])
def test_random_numbers_threads_modes_and_gradients_are_the_callers_again(
    ending: Callable[[Network], None], training: bool
) -> None:
    network = made(num_layers=2, dropout=0.3).train(training)
    network.readout.train(not training)  # each module has a mode of its own
    given = [torch.full_like(weight, 7.0) for weight in network.parameters()]
    for weight, gradient in zip(network.parameters(), given, strict=True):
        weight.grad = gradient
    network.readout.bias.grad = None
    torch.set_num_threads(2)
    torch.manual_seed(12)
    before = torch.get_rng_state()
    ending(network)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == 2
    assert [network.training, network.lstm.training, network.readout.training] == [training, training, not training]
    for weight, gradient in zip(list(network.parameters())[:-1], given, strict=False):
        assert weight.grad is gradient
        assert bool((gradient == 7.0).all())
    assert network.readout.bias.grad is None


def test_a_caller_without_gradients_trains_the_same() -> None:
    networks = [made(), made()]
    config = TrainingConfig(max_epochs=2)
    train(networks[0], SquaredError(), samples(), config)
    with torch.no_grad():
        train(networks[1], SquaredError(), samples(), config)
        assert not torch.is_grad_enabled()
    assert same(weights(networks[0]), weights(networks[1]))


def test_data_and_loss_are_read_only() -> None:
    data = samples()
    copies = [tensor.clone() for tensor in (data.inputs, data.lengths, data.targets, data.target_mask)]
    train(made(), SquaredError(), data, TrainingConfig(max_epochs=1), validation=data)
    found = (data.inputs, data.lengths, data.targets, data.target_mask)
    assert all(torch.equal(one, two) for one, two in zip(found, copies, strict=True))


# -- what is refused before training -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY])
@pytest.mark.parametrize("name", ["input", "target"])
@pytest.mark.parametrize("where", ["training", "validation"])
def test_what_is_not_finite_is_named_by_step_and_sequence(value: float, name: str, where: str) -> None:
    good, bad = samples(), samples(2)
    (bad.inputs if name == "input" else bad.targets)[3, 2, -1] = value
    (bad.inputs if name == "input" else bad.targets)[4, 4, 0] = value
    data, validation = (bad, good) if where == "training" else (good, bad)
    network = made()
    before = weights(network)
    message = f"the {where} {name} at step 3 of sequence 2 is NaN or infinite; expected finite numbers"
    with pytest.raises(InputError, match=f"^{message}$"):
        train(network, SquaredError(), data, TrainingConfig(max_epochs=1), validation=validation)
    assert same(weights(network), before)


@pytest.mark.parametrize("gradient", GRADIENTS, ids=str)
def test_nan_in_padding_and_in_targets_nobody_asks_for_changes_no_bit(gradient: dict[str, Any]) -> None:
    found = []
    for value in (0.0, NAN, -INFINITY):
        data = asked_at(samples(), ASKED["some, and one sequence never"])
        data.inputs[~data.step_mask] = value
        data.targets[~data.target_mask] = value
        network = made()
        config = TrainingConfig(max_epochs=2, batch_size=2, **gradient)
        result = train(network, SquaredError(), data, config, validation=data)
        found.append((weights(network), without_times(result)))
    assert all(same(found[0][0], other) and found[0][1] == history for other, history in found[1:])


def test_large_numbers_are_finite_numbers() -> None:
    """Their sum is not: a check that adds features up would refuse them."""
    data = samples()
    data.inputs[1, 2] = 1.5e308
    network = made()
    with torch.no_grad():
        network.lstm.weight_ih_l0.zero_()
    network.lstm.weight_ih_l0.requires_grad_(False)
    assert train(network, SquaredError(), data, TrainingConfig(max_epochs=1)).epochs == 1


def two_outputs() -> Network:
    return Network(LSTM(2, 3, dtype=torch.float64), 2)


def classes(*answers: int) -> SequenceBatch:
    return SequenceBatch.last_step([torch.randn(3, 2, dtype=torch.float64) for _ in answers], torch.tensor(answers))


def frozen() -> Network:
    return made().requires_grad_(False)  # type: ignore[return-value]


NO_SEQUENCES = samples().select(torch.tensor([], dtype=torch.int64))
NO_ANSWERS = asked_at(samples(), lambda t, b: False)
MISFITS: list[tuple[Callable[[], Network], Loss, SequenceBatch, str]] = [
    (made, SquaredError(), NO_SEQUENCES, "the {} data has no sequences; expected at least one"),
    (made, SquaredError(), NO_ANSWERS, "the {} data asks for no answer; expected a target somewhere"),
    *(
        (network, loss, samples(), f"the {{}} targets have 1 values each, for which {reads}; the network has {outputs}")
        for network, loss, reads, outputs in (
            (two_outputs, SquaredError(), "SquaredError reads 1 outputs", 2),
            (two_outputs, MeanSquaredError(), "MeanSquaredError reads 1 outputs", 2),
            (made, GaussianNLL(), "GaussianNLL reads 2 outputs", 1),
            (two_outputs, QuantileLoss([0.1, 0.5, 0.9]), "QuantileLoss reads 3 outputs", 2),
            (two_outputs, CrossEntropy(), "CrossEntropy reads 1 outputs", 2),
        )
    ),
    (
        two_outputs,
        CrossEntropy(),
        classes(0, 1, 2),
        "the {} targets are classes 0 to 2; expected 0 to 1, one for each output of the network",
    ),
    (
        two_outputs,
        CrossEntropy(),
        classes(1, -1),
        "the {} targets are classes -1 to 1; expected 0 to 1, one for each output of the network",
    ),
]


@pytest.mark.parametrize(("network", "loss", "data", "message"), MISFITS)
def test_data_that_does_not_fit_is_refused(
    network: Callable[[], Network], loss: Loss, data: SequenceBatch, message: str
) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message.format('training'))}$"):
        train(network(), loss, data, TrainingConfig())


def test_validation_data_must_fit_too() -> None:
    two_values = SequenceBatch.last_step([torch.ones(1, 2, dtype=torch.float64)], torch.ones(1, 2, dtype=torch.float64))
    for data, what in (
        (NO_SEQUENCES, "data has no sequences"),
        (NO_ANSWERS, "data asks for no answer"),
        (two_values, "targets have 2 values each"),
    ):
        with pytest.raises(InputError, match=f"^the validation {what}"):
            train(made(), SquaredError(), samples(), TrainingConfig(), validation=data)


def test_a_network_with_nothing_to_train_is_refused() -> None:
    with pytest.raises(InputError, match="the network has no trainable parameter; expected requires_grad=True on at"):
        train(frozen(), SquaredError(), samples(), TrainingConfig())


def test_feeding_answers_back_needs_to_be_told_how_and_how_often() -> None:
    with pytest.raises(
        InputError, match="sampling_probability needs to know which inputs to replace; expected a ScheduledSampl"
    ):
        train(made(), SquaredError(), samples(), TrainingConfig(sampling_probability=0.5))
    with pytest.raises(
        InputError,
        match=r"has sampling_probability=0\.5; expected this probability in the configuration's sampling_probability",
    ):
        train(
            made(), SquaredError(), samples(), TrainingConfig(), sampling=ScheduledSampling(1, sampling_probability=0.5)
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"gradient": "tbptt", "k1": 1, "k2": 1},
            "truncated BPTT reads step by step; expected an LSTM with bidirectional",
        ),
        ({"gradient": "rtrl"}, "RTRL reads step by step; expected an LSTM with bidirectional=False"),
        (
            {"sampling_probability": 1.0},
            "scheduled sampling reads step by step; expected an LSTM with bidirectional=False",
        ),
    ],
)
def test_a_bidirectional_network_has_no_next_step(options: dict[str, Any], message: str) -> None:
    network = made(bidirectional=True)
    before = weights(network)
    with pytest.raises(InputError, match=f"^{message}"):
        train(network, SquaredError(), samples(), TrainingConfig(**options), sampling=ScheduledSampling(1))
    assert same(weights(network), before)


# -- divergence --------------------------------------------------------------------------------------------------------


def test_an_update_that_overflows_is_not_made() -> None:
    data = samples()
    data.targets.mul_(1e9)
    network = made()
    before = weights(network)
    config = TrainingConfig(optimizer="sgd", learning_rate=1e305, max_epochs=2, batch_size=2)
    with pytest.raises(
        DivergenceError, match=r"^training diverged: the update stopped being finite at epoch 1, batch 1; "
    ):
        train(network, SquaredError(), data, config)
    assert same(weights(network), before)


def test_a_learning_rate_that_is_too_large_ends_with_finite_parameters() -> None:
    network = Network(LSTM(2, 3), 1)
    config = TrainingConfig(optimizer="momentum", learning_rate=1e18, max_epochs=50, batch_size=2)
    with pytest.raises(
        DivergenceError, match=r"at epoch \d+, batch \d; the parameters are those before it; a smaller lea"
    ):
        train(network, SquaredError(), samples().to(dtype=torch.float32), config)
    assert all(bool(torch.isfinite(weight).all()) for weight in network.parameters())


@pytest.mark.parametrize("gradient", [GRADIENTS[0], GRADIENTS[3]], ids=str)
@pytest.mark.parametrize("good", [0, 1, 4])
def test_a_loss_that_becomes_nan_names_its_batch_and_leaves_the_parameters_before_it(
    good: int, gradient: dict[str, Any]
) -> None:
    network, data = made(), samples(lengths=(2, 2, 2, 2, 2))  # one window each
    seen = [weights(network)]
    watching = Watching(lambda *_: seen.append(weights(network)))
    place = f"epoch {good // 3 + 1}, batch {good % 3 + 1}"
    config = TrainingConfig(max_epochs=9, batch_size=2, **gradient)
    with pytest.raises(DivergenceError, match=f"^training diverged: the loss stopped being finite at {place}; the "):
        train(network, Spoiled(good), data, config, observer=watching)
    assert len(seen) == good + 1
    assert same(weights(network), seen[-1])


class Steep(SquaredError):
    """A finite error whose slope is not."""

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - outputs.detach()).sqrt().sum(-1)


def test_a_gradient_that_is_not_finite_is_not_followed() -> None:
    network = made()
    before = weights(network)
    with pytest.raises(DivergenceError, match="the gradient stopped being finite at epoch 1, batch 1;"):
        train(network, Steep(), samples(), TrainingConfig(max_epochs=1, clip_norm=1.0, clip_value=1.0))
    assert same(weights(network), before)


class Blind(SquaredError):
    """Infinite unless somebody learns from it."""

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super().errors(outputs, targets) * (1.0 if torch.is_grad_enabled() else math.inf)


def test_a_validation_loss_that_is_not_finite_is_named() -> None:
    with pytest.raises(
        DivergenceError, match="the validation loss stopped being finite at epoch 1; the parameters are "
    ):
        train(made(), Blind(), samples(), TrainingConfig(max_epochs=2), validation=samples(2))


# -- other cells -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [CellSpec.hochreiter1997(), CellSpec.batch2013(cells_per_block=1), CellSpec.coupled()])
def test_every_cell_learns_to_repeat_its_input(cell: CellSpec) -> None:
    network = Network(LSTM(1, 4, cell=cell, batch_first=True), 1)
    inputs = [torch.rand(steps, 1) for steps in (3, 7, 5, 6)]
    data = SequenceBatch.every_step(inputs, inputs)
    config = TrainingConfig(learning_rate=0.05, max_epochs=60, batch_size=4)
    history = train(network, MeanSquaredError(), data, config).history
    assert history[-1]["loss"] < 0.3 * history[0]["loss"]


def test_every_validation_score_is_that_of_a_network_that_drops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, modes = made(num_layers=2, dropout=0.5), []

    def noting(scored: Network, *others: Any) -> float:
        modes.append(any(module.training for module in scored.modules()))
        return evaluate(scored, *others)

    monkeypatch.setattr("longlag.training.evaluation.evaluate", noting)
    network.train()
    train(network, MeanSquaredError(), samples(), TrainingConfig(max_epochs=2), validation=samples(2))
    assert modes == [False, False, False]  # the start, and after each epoch
