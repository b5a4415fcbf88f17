"""A run that was stopped anywhere goes on to the same bits; one that is not the same run is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.errors import DivergenceError, InputError
from longlag.gradients import ScheduledSampling
from longlag.io.directory import read_directory
from longlag.io.json import encode_json
from longlag.nn import GaussianNLL, Loss, MeanSquaredError, QuantileLoss, SquaredError
from longlag.optimizers import names
from longlag.training import Run, Schedule, TrainingConfig, TrainingResult, train
from longlag.training.checkpoints import Checkpoints, DamagedCheckpointWarning

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power failure would need is tested with the checkpoints; here it would only wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr("longlag.training.run.environment", lambda: {"torch": "here"})


def samples(seed: int, lengths: tuple[int, ...] = (4, 2, 5, 3, 1)) -> SequenceBatch:
    generator = torch.Generator().manual_seed(seed)
    inputs = [torch.randn(steps, 2, generator=generator) for steps in lengths]
    return SequenceBatch.every_step(inputs, [torch.randn(steps, 1, generator=generator) for steps in lengths])


class Task:
    """Everything a run is given; each is made anew, as by another process."""

    def __init__(self, config: TrainingConfig, **changes: Any) -> None:
        torch.manual_seed(0)
        cell = changes.get("cell", CellSpec(peepholes=True))
        options = {"num_layers": 2, "dropout": 0.0, **changes.get("lstm", {})}
        lstm = LSTM(2, changes.get("hidden_size", 2), cell=cell, dtype=changes.get("dtype"), **options)
        self.loss: Loss = changes.get("loss", SquaredError())
        outputs = changes.get("outputs", self.loss.outputs_for(1))
        self.network = Network(lstm, outputs, **changes.get("network", {}))
        for name in changes.get("frozen", []):
            self.network.get_parameter(name).requires_grad_(False)
        self.data: SequenceBatch = changes.get("data", samples(1)).to(dtype=changes.get("dtype"))
        self.validation: SequenceBatch | None = changes.get("validation")
        self.sampling: ScheduledSampling | None = changes.get("sampling")
        self.config = config

    def train(self, run: Run | None = None, observer: Any = None) -> TrainingResult:
        return train(
            self.network,
            self.loss,
            self.data,
            self.config,
            validation=self.validation,
            sampling=self.sampling,
            run=run,
            observer=observer,
        )


class Stop(Exception):
    """The end of a process."""


class Stopping:
    """An observer that ends the process at its n-th chance: after a batch's update, or an epoch's end."""

    def __init__(self, at: int) -> None:
        self.left = at

    def batch_done(self, *_: int) -> None:
        self.epoch_done()

    def epoch_done(self, *_: object) -> None:
        if self.left == 0:
            raise Stop
        self.left -= 1


def outcome(task: Task, result: TrainingResult) -> dict[str, Any]:
    """All that must be the same to the bit."""
    return {
        "weights": {name: value.tolist() for name, value in task.network.state_dict().items()},
        "sharpness": task.network.lstm.cell.sharpness,
        "reason": result.reason,
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "history": without_times(result.history),
    }


def without_times(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    times = ("seconds", "sequences_per_second")
    return [{name: value for name, value in entry.items() if name not in times} for entry in entries]


def epochs_on_disk(run: Run) -> list[dict[str, Any]]:
    record, *entries = run.history.entries()
    assert list(record) == ["record"]
    return without_times(entries)


ADAM = TrainingConfig(learning_rate=0.05, clip_norm=0.1, max_epochs=2, batch_size=2, seed=3)
TRUNCATED = replace(ADAM, gradient="truncated")
METHODS = names(methods=True)


def method(name: Any, **options: Any) -> TrainingConfig:
    return TrainingConfig(optimizer=name, **{"max_epochs": 2, "seed": 3, **options})


def last(seed: int, lengths: tuple[int, ...] = (4, 2, 5, 3, 1)) -> SequenceBatch:
    """One answer for each sequence: then a dense matrix costs little."""
    generator = torch.Generator().manual_seed(seed)
    inputs = [torch.randn(steps, 2, generator=generator) for steps in lengths]
    return SequenceBatch.last_step(inputs, torch.randn(len(lengths), 1, generator=generator))


SCENARIOS: dict[str, Callable[[], Task]] = {
    "adam": lambda: Task(ADAM),
    "momentum, learning rate schedule": lambda: Task(
        replace(ADAM, optimizer="momentum", learning_rate=Schedule(0.3, 0.1, "cosine"), weight_decay=0.01)
    ),
    "sgd": lambda: Task(replace(ADAM, optimizer="sgd")),
    "truncated BPTT": lambda: Task(replace(ADAM, gradient="tbptt", k1=2, k2=3)),
    "dropout": lambda: Task(ADAM, lstm={"dropout": 0.5}),
    "scheduled sampling": lambda: Task(
        replace(ADAM, sampling_probability=Schedule(0.3, 0.8, "linear")), sampling=ScheduledSampling(1)
    ),
    "sharpness schedule, validation": lambda: Task(
        replace(ADAM, sharpness=Schedule(1.5, 3.0, "linear")), validation=samples(2)
    ),
    "early stopping": lambda: Task(
        replace(ADAM, learning_rate=0.5, max_epochs=9, patience=1), validation=samples(2), lstm={"dropout": 0.5}
    ),
    **{
        name: partial(Task, method(name, batch_size=2, inner_iterations=2), data=last(1), lstm={"num_layers": 1})
        for name in METHODS
    },
    **{
        f"{name}, all the data": partial(Task, method(name, max_epochs=3), data=last(1), lstm={"num_layers": 1})
        for name in METHODS
    },
    "lbfgs, sharpness schedule, validation": lambda: Task(
        method("lbfgs", sharpness=Schedule(1.5, 3.0, "steps", 1), max_epochs=4), data=last(1), validation=samples(2)
    ),
    "converged": lambda: Task(
        method("lbfgs", inner_iterations=5, max_epochs=99), data=last(2, (2, 2)), validation=last(3)
    ),
}
ONE_BATCH = {name for name in SCENARIOS if "all the data" in name or "lbfgs, " in name or name == "converged"}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_run_stopped_after_any_batch_or_epoch_goes_on_to_the_same_bits(scenario: str, tmp_path: Path) -> None:
    make = SCENARIOS[scenario]
    undisturbed = make()
    expected = outcome(undisturbed, undisturbed.train())
    if scenario == "early stopping":
        assert (expected["reason"], expected["epochs"]) == ("patience", expected["best_epoch"] + 1)
    if scenario == "converged":
        assert expected["reason"] == "converged"
        assert 2 < expected["epochs"] < 20
    chances = (2 if scenario in ONE_BATCH else 4) * expected["epochs"]  # one or three batches and the epoch's end
    for at in range(chances):
        directory = tmp_path / str(at)
        with pytest.raises(Stop), Run(directory, every_seconds=0) as run:
            make().train(run, Stopping(at))
        again = make()
        torch.manual_seed(at)  # the next process begins with other random numbers
        with torch.no_grad():
            for weight in again.network.parameters():  # and with other weights
                weight.zero_()
        if run._checkpoints.latest() is None:
            assert at == 0
            again = make()
        with Run(directory, resume=True, every_seconds=0) as run:
            assert outcome(again, again.train(run)) == expected
            assert epochs_on_disk(run) == expected["history"]


def test_a_run_stopped_again_and_again_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """One batch for each process: the checkpoint of a batch is written after it was announced."""

    def make() -> Task:
        config = replace(ADAM, gradient="tbptt", k1=2, k2=2, sharpness=Schedule(1.0, 2.0, "linear"), patience=3)
        return Task(config, lstm={"dropout": 0.5}, validation=samples(2))

    undisturbed = make()
    expected = outcome(undisturbed, undisturbed.train())
    stops = 0
    while True:
        task = make()
        try:
            with Run(tmp_path / "run", resume=True, every_seconds=0) as run:
                found = outcome(task, task.train(run, Stopping(1)))
        except Stop:
            stops += 1
            continue
        break
    assert found == expected
    assert epochs_on_disk(run) == expected["history"]
    assert stops == 6


def test_rare_checkpoints_change_no_bit(tmp_path: Path) -> None:
    """Without one before the stop, the run begins anew."""
    undisturbed = Task(ADAM)
    expected = outcome(undisturbed, undisturbed.train())
    with pytest.raises(Stop), Run(tmp_path / "run", every_seconds=1e9) as run:
        Task(ADAM).train(run, Stopping(6))
    assert len(run.history.entries()) == 2  # the record, and an epoch that no checkpoint knows of
    assert run._checkpoints.steps() == []
    again = Task(ADAM)
    with Run(tmp_path / "run", resume=True, every_seconds=1e9) as run:
        assert outcome(again, again.train(run)) == expected
        assert epochs_on_disk(run) == expected["history"]
    assert run._checkpoints.steps() == [6]  # the end is saved at all events


def test_resuming_where_nothing_is_begins_a_run(tmp_path: Path) -> None:
    task, plain = Task(ADAM), Task(ADAM)
    with Run(tmp_path / "run", resume=True) as run:
        assert outcome(task, task.train(run)) == outcome(plain, plain.train())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_finished_run_is_given_back_at_once(scenario: str, tmp_path: Path) -> None:
    first, again = SCENARIOS[scenario](), SCENARIOS[scenario]()
    with Run(tmp_path / "run") as run:
        expected = outcome(first, first.train(run))
    before = contents(tmp_path)
    with Run(tmp_path / "run", resume=True, every_seconds=0) as run:
        assert outcome(again, again.train(run, Stopping(0))) == expected  # no batch is trained
    assert contents(tmp_path) == before


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


# -- the same run, or not ----------------------------------------------------------------------------------------------


def emitted(outputs: Tensor) -> Tensor:
    return outputs.tanh()


MORE = {"loss": QuantileLoss([0.2, 0.8])}
FEEDING = {"sampling": ScheduledSampling(1)}
OTHER_MASK = samples(1)
OTHER_MASK.target_mask[0, 0] = False
OWN = replace(ADAM, sampling_probability=0.5)
SHARP = CellSpec(peepholes=True, sharpness=2.0)
CHANGES: list[tuple[TrainingConfig, dict[str, Any], TrainingConfig, dict[str, Any], str]] = [
    (ADAM, {}, replace(ADAM, learning_rate=0.1), {}, "config.learning_rate = 0.05, not 0.1"),
    (ADAM, {}, replace(ADAM, max_epochs=3), {}, "config.max_epochs = 2, not 3"),
    (ADAM, {}, replace(ADAM, seed=4), {}, "config.seed = 3, not 4"),
    (ADAM, {}, replace(ADAM, clip_norm=None), {}, "config.clip_norm = 0.1, not None"),
    (
        replace(ADAM, learning_rate=Schedule(0.1, 0.2, "linear")),
        {},
        replace(ADAM, learning_rate=Schedule(0.1, 0.3, "linear")),
        {},
        "config.learning_rate.end = 0.2, not 0.3",
    ),
    (ADAM, {}, ADAM, {"cell": SHARP}, "cell.sharpness = 1.0, not 2.0"),
    (
        ADAM,
        {},
        ADAM,
        {"cell": CellSpec(peepholes=True, output_squash="identity")},
        "cell.output_squash = 'tanh', not 'id",
    ),
    (ADAM, {}, ADAM, {"cell": CellSpec()}, "cell.peepholes = True, not False"),
    (
        ADAM,
        {},
        ADAM,
        {"hidden_size": 3},
        "parameters.lstm.bias_hh_l0 = '(8,) torch.float32', not '(12,) torch.float32'",
    ),
    (ADAM, {}, ADAM, {"lstm": {"num_layers": 1}}, "parameters.lstm.bias_hh_l1 = '(8,) torch.float32', not None"),
    (ADAM, {}, ADAM, {"lstm": {"dropout": 0.5}}, "network.dropout = 0.0, not 0.5"),
    (ADAM, {}, ADAM, {"lstm": {"backend": "reference"}}, "network.backend = 'auto', not 'reference'"),
    (ADAM, {}, ADAM, {"lstm": {"gradient": "truncated"}}, "config.gradient = 'full', not 'truncated'"),
    (TRUNCATED, {}, TRUNCATED, {"lstm": {"gradient": "truncated"}}, "network.gradient = 'full', not 'truncated'"),
    (ADAM, {}, ADAM, {"network": {"reads": "cells+inputs"}}, "network.reads = 'cells', not 'cells+inputs'"),
    (ADAM, {}, ADAM, {"network": {"output_activation": "tanh"}}, "network.output_activation = 'identity', not 'tanh'"),
    (ADAM, {}, ADAM, {"network": {"bias": False}}, "parameters.readout.bias = '(1,) torch.float32', not None"),
    (
        ADAM,
        {},
        ADAM,
        {"frozen": ["lstm.weight_ih_l0"]},
        "parameters.lstm.weight_ih_l0 = '(8, 2) torch.float32', not '(8, 2) torch.float32 frozen'",
    ),
    (ADAM, {}, ADAM, {"loss": MeanSquaredError()}, "loss.name = 'SquaredError', not 'MeanSquaredError'"),
    (ADAM, {}, ADAM, {"loss": SquaredError("sum")}, "loss.reduction = 'mean', not 'sum'"),
    (ADAM, MORE, ADAM, {"loss": QuantileLoss([0.2, 0.9])}, "loss.quantiles = [0.2, 0.8], not [0.2, 0.9]"),
    (
        ADAM,
        {"loss": GaussianNLL()},
        ADAM,
        {"loss": GaussianNLL(least_deviation=0.1)},
        "loss.least_deviation = 0.001, not 0.1",
    ),
    (
        OWN,
        FEEDING,
        OWN,
        {"sampling": ScheduledSampling(1, feedback=emitted)},
        "sampling.feedback = '_same', not 'emitted'",
    ),
]
OTHER_DATA: list[tuple[dict[str, Any], str]] = [
    ({"data": samples(2)}, "data"),
    ({"data": OTHER_MASK}, "data"),
    ({"data": samples(1).select(torch.tensor([4, 3, 2, 1, 0]))}, "data"),
    ({"validation": samples(2)}, "validation"),
]


def refusal(
    directory: Path,
    before: tuple[TrainingConfig, dict[str, Any]],
    now: tuple[TrainingConfig, dict[str, Any]],
) -> str:
    """Stop a run, go on with another, and see that nothing was touched."""
    with pytest.raises(Stop), Run(directory, every_seconds=0) as run:
        Task(before[0], **before[1]).train(run, Stopping(3))
    saved, task = contents(directory), Task(now[0], **now[1])
    given = {name: value.clone() for name, value in task.network.state_dict().items()}
    with Run(directory, resume=True, every_seconds=0) as run, pytest.raises(InputError) as caught:
        task.train(run)
    assert contents(directory) == saved
    assert all(torch.equal(value, given[name]) for name, value in task.network.state_dict().items())
    return str(caught.value)


@pytest.mark.parametrize(("config", "options", "other_config", "other_options", "what"), CHANGES)
def test_another_run_is_refused_by_the_name_of_what_changed(
    config: TrainingConfig,
    options: dict[str, Any],
    other_config: TrainingConfig,
    other_options: dict[str, Any],
    what: str,
    tmp_path: Path,
) -> None:
    message = refusal(tmp_path / "run", (config, options), (other_config, other_options))
    assert message.startswith(f"{tmp_path / 'run'} holds a run with {what}")
    assert message.endswith("; expected the same settings to continue it")


@pytest.mark.parametrize(("other", "what"), OTHER_DATA)
def test_other_data_is_refused(other: dict[str, Any], what: str, tmp_path: Path) -> None:
    message = refusal(tmp_path / "run", (ADAM, {}), (ADAM, other))
    assert message == f"{tmp_path / 'run'} holds a run on other {what}; expected the {what} it began with"


def test_other_numbers_of_the_same_value_are_other_data(tmp_path: Path) -> None:
    message = refusal(tmp_path / "run", (ADAM, {"dtype": torch.float32}), (ADAM, {"dtype": torch.float64}))
    assert "holds a run on other data" in message


def test_the_sharpness_of_the_cell_may_differ_where_a_schedule_decides_it(tmp_path: Path) -> None:
    """A network that was trained in this very process, and stopped, has the sharpness of its last epoch."""
    config = replace(ADAM, sharpness=Schedule(1.5, 3.0, "linear"))
    undisturbed, task = Task(config), Task(config)
    expected = outcome(undisturbed, undisturbed.train())
    with pytest.raises(Stop), Run(tmp_path / "run", every_seconds=0) as run:
        task.train(run, Stopping(5))
    assert task.network.lstm.cell.sharpness == 3.0
    with Run(tmp_path / "run", resume=True) as run:
        assert outcome(task, task.train(run)) == expected


def test_a_run_of_an_earlier_release_goes_on_under_the_names_of_today(tmp_path: Path) -> None:
    """It called two things otherwise, and had no options of optimisers."""
    undisturbed, task = SCENARIOS["scheduled sampling"](), SCENARIOS["scheduled sampling"]()
    expected = outcome(undisturbed, undisturbed.train())
    with pytest.raises(Stop), Run(tmp_path / "run", every_seconds=0) as run:
        task.train(run, Stopping(3))
    with Checkpoints(tmp_path / "run" / "checkpoints") as checkpoints:
        latest = checkpoints.latest()
        assert latest is not None
        step, saved = latest
        identity = saved.document["identity"]
        identity["config"]["own_answers"] = identity["config"].pop("sampling_probability")
        identity["sampling"]["emit"] = identity["sampling"].pop("feedback")
        assert "optimizer_options" not in identity["config"]
        checkpoints.save(step, saved.files, saved.document)
    resumed = SCENARIOS["scheduled sampling"]()
    with Run(tmp_path / "run", resume=True, every_seconds=0) as run:
        assert outcome(resumed, resumed.train(run)) == expected
    other = SCENARIOS["scheduled sampling"]()
    other.config = replace(other.config, sampling_probability=0.5)
    with (
        Run(tmp_path / "run", resume=True) as run,
        pytest.raises(InputError, match=r"config\.sampling_probability = .*, not 0\.5"),
    ):
        other.train(run)


# -- the directory -----------------------------------------------------------------------------------------------------


def test_the_record_says_what_was_trained_and_where(tmp_path: Path) -> None:
    task = Task(
        replace(OWN, learning_rate=Schedule(0.1, 0.2, "linear")), sampling=ScheduledSampling(1), **MORE, outputs=2
    )
    task.loss, task.sampling = QuantileLoss([0.2, 0.8]), ScheduledSampling(1, feedback=lambda outputs: outputs[:, :1])
    with Run(tmp_path / "run") as run:
        task.train(run)
    record = run.history.entries()[0]["record"]
    assert record["config"] == {**task.config.document(), "gradient": "full"}
    assert record["cell"]["peepholes"] is True
    assert record["loss"] == {"name": "QuantileLoss", "reduction": "mean", "quantiles": [0.2, 0.8]}
    assert record["sampling"]["columns"] == 1
    assert record["environment"] == {"torch": "here"}
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    names = {"epoch", "loss", "validation", "gradient_norm", "learning_rate", "sharpness", "seconds"}
    entries = [json.loads(line, parse_constant=pytest.fail) for line in lines[1:]]
    assert [set(entry) for entry in entries] == [names | {"sequences_per_second"}] * 2


class Odd(SquaredError):
    """A loss of somebody else, with options of any kind."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = table
        self.limit = float("inf")
        self.levels = (torch.tensor(1.0), [None, True])
        self.function = emitted


@pytest.mark.parametrize(
    ("table", "other"),
    [
        (
            torch.tensor([1.0, float("nan")], dtype=torch.bfloat16),
            torch.tensor([2.0, float("nan")], dtype=torch.bfloat16),
        ),
        (torch.zeros(2), torch.zeros(1, dtype=torch.float64)),  # the same bytes
        (torch.zeros(2, 3), torch.zeros(3, 2)),
    ],
)
def test_a_loss_with_options_of_any_kind_is_recorded_and_told_from_another(
    table: Tensor, other: Tensor, tmp_path: Path
) -> None:
    message = refusal(tmp_path / "run", (ADAM, {"loss": Odd(table)}), (ADAM, {"loss": Odd(other)}))
    assert "holds a run with loss.table = '" in message
    with Run(tmp_path / "run", resume=True) as run:
        assert Task(ADAM, loss=Odd(table.clone())).train(run).epochs == 2


def test_history_that_no_checkpoint_knows_of_is_taken_back(tmp_path: Path) -> None:
    """Killed between an epoch's line and its checkpoint."""
    with pytest.raises(Stop), Run(tmp_path / "run", every_seconds=0) as run:
        Task(ADAM).train(run, Stopping(4))
    run.history.append({"epoch": 2, "loss": 99.0})
    with open(run.history.path, "ab") as file:
        file.write(b'{"epoch": 3, "lo')
    with Run(tmp_path / "run", resume=True) as run:
        result = Task(ADAM).train(run)
    assert epochs_on_disk(run) == without_times(result.history)
    assert [entry["epoch"] for entry in result.history] == [1, 2]


def test_a_damaged_checkpoint_costs_a_batch_and_no_bit(tmp_path: Path) -> None:
    undisturbed, again = Task(ADAM), Task(ADAM)
    expected = outcome(undisturbed, undisturbed.train())
    with pytest.raises(Stop), Run(tmp_path / "run", every_seconds=0) as run:
        Task(ADAM).train(run, Stopping(6))
    newest = run._checkpoints.directory / f"step-{run._checkpoints.steps()[-1]:08d}" / "parameters.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1] + b"?")
    with Run(tmp_path / "run", resume=True) as run:
        with pytest.warns(DamagedCheckpointWarning, match=re.escape(str(newest.parent))):
            assert outcome(again, again.train(run)) == expected
        assert epochs_on_disk(run) == expected["history"]


class Spoiled(SquaredError):
    """A squared error that is NaN from its n-th call on."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.left -= 1
        return super().errors(outputs, targets) * (1.0 if self.left >= 0 else float("nan"))


@pytest.mark.parametrize("calls", [1, 2, 3, 5])
def test_nothing_that_is_not_finite_is_ever_saved(calls: int, tmp_path: Path) -> None:
    with Run(tmp_path / "run", every_seconds=0) as run, pytest.raises(DivergenceError):
        Task(ADAM, loss=Spoiled(calls)).train(run)
    steps = run._checkpoints.steps()
    assert steps == [step for step in (calls - 1, calls) if step]
    for step in steps:
        saved = read_directory(run._checkpoints.directory / f"step-{step:08d}", kind="checkpoint")
        encode_json(saved.document, "document")  # refuses what is not finite
        assert set(saved.files) == {f"{name}.safetensors" for name in ("parameters", "best", "optimizer", "random")}
        for tensors in saved.files.values():
            assert all(bool(torch.isfinite(tensor.double()).all()) for tensor in tensors.values())
    assert all(entry["loss"] < 1e9 for entry in run.history.entries()[1:])


def test_a_run_that_is_there_is_not_begun_again(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        Task(ADAM).train(run)
    before = contents(tmp_path)
    for partly in (None, "history.jsonl"):
        if partly:
            for path in (tmp_path / "run" / "checkpoints").glob("step-*/*"):
                path.unlink()
            for path in (tmp_path / "run" / "checkpoints").glob("step-*"):
                path.rmdir()
            before = contents(tmp_path)
        message = (
            f"{tmp_path / 'run'} already holds a run; expected --resume (resume=True) to continue it, or another dir"
        )
        with pytest.raises(InputError, match=f"^{re.escape(message)}"), Run(tmp_path / "run"):
            pass
        assert contents(tmp_path) == before
        with Run(tmp_path / "run", resume=True):  # the refusal left no lock
            pass


def test_a_run_is_written_to_only_while_it_is_open(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", resume=True)
    with pytest.raises(InputError, match=r"is not open; expected `with Run\(\.\.\.\) as run:`$"):
        Task(ADAM).train(run)
    with run:
        Task(ADAM).train(run)
    with pytest.raises(InputError, match="is not open"):
        Task(ADAM).train(run)


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for directory in (tmp_path / "missing" / "run", tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match=f"^{re.escape(str(directory))} cannot be written: "), Run(directory):
            pass
    assert contents(tmp_path) == {"file": b"mine"}


def test_a_second_writer_in_this_process_is_refused(tmp_path: Path) -> None:
    first, second = (Run(tmp_path / "run", resume=True) for _ in range(2))
    with first, pytest.raises(InputError, match="another process is writing"), second:
        pass
    with Run(tmp_path / "run", resume=True):
        pass


SECOND = """
import sys
from longlag.errors import InputError
from longlag.training import Run

try:
    with Run(sys.argv[1], resume=True):
        pass
except InputError as error:
    sys.exit(str(error))
"""


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path / "run", resume=True):
        command = [sys.executable, "-c", SECOND, str(tmp_path / "run")]
        second = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode == 1
    assert "another process is writing" in second.stderr
