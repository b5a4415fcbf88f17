"""The directory of a run: its record, its history, its checkpoints, and who may write it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from longlag.errors import DivergenceError, InputError
from longlag.gradients import ScheduledSampling
from longlag.io.directory import read_directory
from longlag.io.json import encode_json
from longlag.nn import QuantileLoss, SquaredError
from longlag.training import Run, Schedule
from longlag.training.checkpoints import DamagedCheckpointWarning
from training.run_tasks import (
    ADAM,
    MORE,
    OWN,
    Stop,
    Stopping,
    Task,
    contents,
    emitted,
    epochs_on_disk,
    outcome,
    refusal,
    without_times,
)

# torch's own, when forward-mode differentiation is first used
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.usefixtures("quick_disk"),
]


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


@pytest.mark.processes
def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path / "run", resume=True):
        command = [sys.executable, "-c", SECOND, str(tmp_path / "run")]
        second = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode == 1
    assert "another process is writing" in second.stderr
