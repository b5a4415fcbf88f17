"""Callbacks hear of a training and leave no trace in it, unless they ask to stop."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longlag.errors import DivergenceError, InputTypeError
from longlag.nn import SquaredError
from longlag.training import (
    BatchEnd,
    Callback,
    Run,
    Stage,
    TrainingConfig,
    TrainingInfo,
    TrainingResult,
    train,
)
from training.loop_examples import Spoiled, asked_at, made, same, samples, weights
from training.run_tasks import ADAM, SCENARIOS, Task, epochs_on_disk, outcome

# torch's own, when forward-mode differentiation is first used
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.usefixtures("quick_disk"),
]

CONFIG = TrainingConfig(max_epochs=2, batch_size=2, learning_rate=0.1, seed=3)


class Diary(Callback):
    """Writes down all it hears."""

    def __init__(self, name: str = "", log: list[tuple[Any, ...]] | None = None) -> None:
        self.name, self.log = name, [] if log is None else log

    def on_train_start(self, training: TrainingInfo) -> None:
        self.log.append((self.name, "start", training))

    def on_batch_end(self, training: TrainingInfo, batch: BatchEnd) -> None:
        self.log.append((self.name, "batch", batch))

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> bool | None:
        self.log.append((self.name, "epoch", entry))
        return None

    def on_train_end(self, training: TrainingInfo, result: TrainingResult | None) -> None:
        self.log.append((self.name, "end", result))

    def heard(self) -> list[str]:
        return [event for _, event, _ in self.log]


def test_a_callback_hears_of_the_start_every_batch_every_epoch_and_the_end_in_this_order() -> None:
    diary = Diary()
    result = train(made(), SquaredError(), samples(), CONFIG, callbacks=[diary])
    assert diary.heard() == ["start", *(["batch"] * 3 + ["epoch"]) * 2, "end"]
    assert diary.log[-1][2] is result


def test_what_a_callback_hears_are_the_facts_of_the_training() -> None:
    diary, network, data = Diary(), made(), samples()
    stage = Stage("refit", 1, 3)
    result = train(network, SquaredError(), data, CONFIG, validation=data, callbacks=[diary], stage=stage)
    info = diary.log[0][2]
    assert (info.network, info.stage, info.batches, info.epochs_done, info.validated) == (network, stage, 3, 0, True)
    assert info.config == CONFIG.resolved(len(data))
    batches = [what for _, event, what in diary.log if event == "batch"]
    assert [(one.epoch, one.batch, one.step) for one in batches] == [
        (epoch, number, 3 * (epoch - 1) + number) for epoch in (1, 2) for number in (1, 2, 3)
    ]
    assert {one.learning_rate for one in batches} == {0.1}
    entries = [what for _, event, what in diary.log if event == "epoch"]
    assert [dict(entry) for entry in entries] == result.history
    for entry in entries:  # the loss of an epoch is the mean over its sequences, its norm the largest
        part = [one for one in batches if one.epoch == entry["epoch"]]
        assert sum(one.loss * one.sequences for one in part) / len(data) == pytest.approx(entry["loss"], rel=1e-12)
        assert max(one.gradient_norm for one in part) == entry["gradient_norm"]
        assert sum(one.time_steps for one in part) == int(data.lengths.sum())


def test_a_batch_that_asks_for_no_answer_has_no_loss() -> None:
    diary, data = Diary(), asked_at(samples(lengths=(3, 3)), lambda t, b: b == 0)
    train(made(), SquaredError(), data, TrainingConfig(max_epochs=1, batch_size=1), callbacks=[diary])
    losses = [what.loss for _, event, what in diary.log if event == "batch"]
    assert losses.count(None) == 1
    assert len(losses) == 2


def test_the_facts_are_read_only() -> None:
    diary = Diary()
    result = train(made(), SquaredError(), samples(), CONFIG, callbacks=[diary])
    facts = {event: what for _, event, what in diary.log}
    with pytest.raises(TypeError, match="does not support item assignment"):
        facts["epoch"]["loss"] = 0.0
    for name, attribute in (("start", "epochs_done"), ("batch", "loss"), ("end", "epochs")):
        with pytest.raises(FrozenInstanceError):
            setattr(facts[name], attribute, 7)
    assert result.epochs == 2


class Meddling(Callback):
    """Draws random numbers, changes modes, evaluates, and leaves gradients behind."""

    def meddle(self, training: TrainingInfo) -> None:
        torch.manual_seed(99)
        torch.rand(3)
        network = training.network
        network.train(not network.training)
        network(torch.ones(2, 1, 2))[0].sum().backward()

    def on_train_start(self, training: TrainingInfo) -> None:
        self.meddle(training)

    def on_batch_end(self, training: TrainingInfo, batch: BatchEnd) -> None:
        self.meddle(training)

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> None:
        self.meddle(training)

    def on_train_end(self, training: TrainingInfo, result: TrainingResult | None) -> None:
        self.meddle(training)


@pytest.mark.costly
@pytest.mark.parametrize("name", ["dropout", "scheduled sampling", "truncated BPTT", "early stopping", "lbfgs"])
def test_callbacks_change_no_bit_of_training(name: str) -> None:
    def task() -> Task:
        task = SCENARIOS[name]()
        task.network.float()
        return task

    undisturbed, watched = task(), task()
    expected = outcome(undisturbed, undisturbed.train())
    assert outcome(watched, watched.train(None, Diary(), Meddling())) == expected


def test_a_callback_that_asks_to_stop_ends_training_after_that_epoch() -> None:
    class Enough(Callback):
        def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> bool:
            return bool(entry["epoch"] == 2)

    diary, network = Diary(), made()
    config = TrainingConfig(max_epochs=9, batch_size=2)
    result = train(network, SquaredError(), samples(), config, callbacks=[Enough(), diary])
    assert (result.reason, result.epochs, result.best_epoch) == ("callback", 2, 2)
    assert diary.heard().count("epoch") == 2  # those after it hear of the epoch too
    other = made()
    train(other, SquaredError(), samples(), TrainingConfig(max_epochs=2, batch_size=2))
    assert same(weights(network), weights(other))


def test_the_best_parameters_are_kept_where_a_callback_ends_training() -> None:
    class Worse(Callback):
        def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> np.bool_:  # type: ignore[override]
            return np.bool_(entry["epoch"] == 3)

    validation, network = samples(2), made()
    before = weights(network)
    config = TrainingConfig(max_epochs=9, learning_rate=1e-30)
    result = train(network, SquaredError(), samples(), config, validation=validation, callbacks=[Worse()])
    assert (result.reason, result.epochs, result.best_epoch) == ("callback", 3, 0)
    assert same(weights(network), before)


def test_a_run_that_a_callback_ended_has_ended(tmp_path: Path) -> None:
    class Once(Callback):
        asked = 0

        def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> bool:
            Once.asked += 1
            return Once.asked == 1

    first, again = Task(ADAM), Task(ADAM)
    with Run(tmp_path / "run", every_seconds=1e9) as run:
        expected = outcome(first, first.train(run, Once()))
    assert expected["reason"] == "callback"
    with Run(tmp_path / "run", resume=True) as run:
        assert outcome(again, again.train(run)) == expected


class Failing(Callback):
    """Raises at one of the four calls."""

    def __init__(self, place: str) -> None:
        self.place = place

    def fail(self, place: str) -> None:
        if self.place == place:
            raise LookupError(place)

    def on_train_start(self, training: TrainingInfo) -> None:
        self.fail("start")

    def on_batch_end(self, training: TrainingInfo, batch: BatchEnd) -> None:
        self.fail("batch")

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> None:
        self.fail("epoch")

    def on_train_end(self, training: TrainingInfo, result: TrainingResult | None) -> None:
        self.fail("end")


@pytest.mark.costly
@pytest.mark.parametrize("place", ["start", "batch", "epoch", "end"])
@pytest.mark.parametrize("every_seconds", [0.0, 1e9])
def test_what_a_callback_raises_travels_up_and_the_run_goes_on_bit_for_bit(
    place: str, every_seconds: float, tmp_path: Path
) -> None:
    undisturbed, disturbed, resumed = SCENARIOS["dropout"](), SCENARIOS["dropout"](), SCENARIOS["dropout"]()
    expected = outcome(undisturbed, undisturbed.train())
    with pytest.raises(LookupError, match=place), Run(tmp_path / "run", every_seconds=every_seconds) as run:
        disturbed.train(run, Failing(place))
    with Run(tmp_path / "run", resume=True) as run:
        assert outcome(resumed, resumed.train(run)) == expected
        assert epochs_on_disk(run) == expected["history"]


@pytest.mark.parametrize("place", ["start", "batch", "epoch", "end"])
def test_who_heard_of_the_start_hears_of_the_end_whatever_happens(place: str) -> None:
    before, after = Diary(), Diary()
    with pytest.raises(LookupError):
        train(made(), SquaredError(), samples(), CONFIG, callbacks=[before, Failing(place), after])
    assert before.heard()[-1] == "end"
    assert (before.log[-1][2] is None) == (place != "end")
    assert after.heard() == [] if place == "start" else after.heard()[-1] == "end"


def test_divergence_is_an_end_without_a_result() -> None:
    diary = Diary()
    with pytest.raises(DivergenceError):
        train(made(), Spoiled(2), samples(), CONFIG, callbacks=[diary])
    assert diary.log[-1][1:] == ("end", None)


def test_a_continued_run_says_how_many_epochs_are_behind_it(tmp_path: Path) -> None:
    diary = Diary()
    with pytest.raises(LookupError), Run(tmp_path / "run", every_seconds=0) as run:
        Task(ADAM).train(run, Failing("epoch"))
    with Run(tmp_path / "run", resume=True) as run:
        Task(ADAM).train(run, diary)
    assert diary.log[0][2].epochs_done == 1
    assert [what["epoch"] for _, event, what in diary.log if event == "epoch"] == [2]


def test_a_copy_of_a_callback_is_the_callback() -> None:
    diary = Diary()
    assert copy.deepcopy([diary])[0] is diary


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (Diary(), "callbacks is a Diary; expected a list of Callback objects"),
        ([print], "a callback is a builtin_function_or_method; expected a Callback"),
        ([Diary], "a callback is a type; expected a Callback"),
    ],
)
def test_what_is_no_callback_is_refused(callbacks: Any, message: str) -> None:
    with pytest.raises(InputTypeError, match=f"^{message}$"):
        train(made(), SquaredError(), samples(), CONFIG, callbacks=callbacks)


def test_an_answer_that_means_nothing_is_refused() -> None:
    class Telling(Callback):
        def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> Any:
            return "stop"

    with pytest.raises(
        InputTypeError, match=r"^Telling\.on_epoch_end returned 'stop'; expected True to stop, or None$"
    ):
        train(made(), SquaredError(), samples(), CONFIG, callbacks=[Telling()])


def test_an_observer_of_the_release_before_hears_what_it_used_to_hear() -> None:
    class Old:
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def batch_done(self, epoch: int, batch: int, batches: int, sequences: int, steps: int) -> None:
            self.seen.append((epoch, batch, batches, sequences))

        def epoch_done(self, entry: dict[str, Any]) -> None:
            self.seen.append(entry)

    old = Old()
    with pytest.warns(DeprecationWarning, match=r"^train\(observer=\.\.\.\) is now train\(callbacks=\[\.\.\.\]\)"):
        result = train(made(), SquaredError(), samples(), CONFIG, observer=old)
    assert [entry for entry in old.seen if isinstance(entry, dict)] == result.history
    assert [seen[:3] for seen in old.seen if isinstance(seen, tuple)] == [(e, b, 3) for e in (0, 1) for b in range(3)]
