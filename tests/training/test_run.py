"""A run that is stopped after any batch or epoch goes on to the same bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from longlag.training import Run, Schedule
from training.run_tasks import (
    ADAM,
    ONE_BATCH,
    SCENARIOS,
    Stop,
    Stopping,
    Task,
    contents,
    epochs_on_disk,
    outcome,
    samples,
)

# torch's own, when forward-mode differentiation is first used
pytestmark = [
    pytest.mark.costly,
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.usefixtures("quick_disk"),
]


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
