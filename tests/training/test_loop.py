"""The training loop: the loss that it reports, the parameters that it keeps, and when it ends."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.gradients import ScheduledSampling
from longlag.nn import MeanSquaredError, SquaredError
from longlag.nn.losses import Reduction
from longlag.training import Schedule, TrainingConfig, evaluate, train
from longlag.training.batches import plan
from training.loop_examples import (
    ASKED,
    EXACT,
    GRADIENTS,
    STILL,
    Watching,
    asked_at,
    made,
    same,
    samples,
    weights,
    without_times,
)

# RTRL differentiates forward, and torch meets its own deprecation when it loads what that takes.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


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


@pytest.mark.costly
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


def test_a_callback_hears_of_every_batch_and_every_epoch() -> None:
    epochs: list[int] = []
    watching = Watching(epoch=epochs.append)
    data = samples()
    train(made(), SquaredError(), data, TrainingConfig(max_epochs=2, batch_size=2, seed=3), callbacks=[watching])
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
    train(network, SquaredError(), samples(), config, callbacks=[Watching(epoch=note)])
    return found[0]


@pytest.mark.costly
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
    result = train(network, SquaredError(), samples(), config, callbacks=[watching])
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


@pytest.mark.costly
def test_the_same_seed_gives_the_same_bits_whatever_the_callers_random_numbers() -> None:
    expected, history = trained(1)
    for outside in (1, 99):
        found, again = trained(1, outside=outside)
        assert same(found, expected)
        assert again == history


def test_another_seed_gives_another_result() -> None:
    assert not same(trained(1)[0], trained(2)[0])


# -- other cells -------------------------------------------------------------------------------------------------------


@pytest.mark.costly
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
