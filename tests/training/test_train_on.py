"""A run that is given more epochs trains on, as if it had had them from the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from longlag.errors import InputError
from longlag.training import Callback, Run, Schedule, TrainingConfig, TrainingInfo
from training.run_tasks import ADAM, SCENARIOS, Stop, Stopping, Task, epochs_on_disk, outcome

pytestmark = pytest.mark.usefixtures("quick_disk")

COSINE = replace(ADAM, learning_rate=Schedule(0.1, 0.01, "cosine"), max_epochs=3)


def task(scenario: str, epochs: int) -> Task:
    made = SCENARIOS[scenario]()
    made.config = replace(made.config, max_epochs=epochs)
    return made


@pytest.mark.costly
@pytest.mark.parametrize(
    "scenario", ["adam", "dropout", "truncated BPTT", "early stopping", "lbfgs", "lbfgs, all the data", "converged"]
)
@pytest.mark.parametrize("stopped", [False, True])
def test_without_a_schedule_it_is_the_run_that_had_them_from_the_start(
    scenario: str, stopped: bool, tmp_path: Path
) -> None:
    undisturbed = task(scenario, 5)
    expected = outcome(undisturbed, undisturbed.train())
    with Run(tmp_path / "run") as run:
        task(scenario, 2).train(run)
    if stopped:  # and the way on may be cut short too
        with pytest.raises(Stop), Run(tmp_path / "run", resume=True, every_seconds=0) as run:
            task(scenario, 5).train(run, Stopping(0), Raising())
    resumed = task(scenario, 5)
    with Run(tmp_path / "run", resume=True) as run:
        assert outcome(resumed, resumed.train(run)) == expected
        assert epochs_on_disk(run) == expected["history"]


class Raising(Callback):
    """Ends a process that has nothing left to do."""

    def on_train_end(self, *_: object) -> None:
        raise Stop


def rates(config: TrainingConfig, directory: Path, **options: Any) -> list[float]:
    with Run(directory, resume=True, **options) as run:
        return [entry["learning_rate"] for entry in Task(config).train(run).history]


def test_a_schedule_is_that_of_the_epochs_there_were_to_be_and_stays_at_its_end(tmp_path: Path) -> None:
    planned = rates(COSINE, tmp_path / "run")
    assert planned == pytest.approx([0.1, 0.055, 0.01], rel=1e-12)
    assert rates(replace(COSINE, max_epochs=5), tmp_path / "run") == [*planned, 0.01, 0.01]


def test_a_schedule_that_was_cut_short_is_that_of_the_beginning_too(tmp_path: Path) -> None:
    with pytest.raises(Stop), Run(tmp_path / "run", every_seconds=0) as run:
        Task(COSINE).train(run, Stopping(3))  # at the end of the first epoch
    assert rates(replace(COSINE, max_epochs=5), tmp_path / "run") == pytest.approx(
        [0.1, 0.055, 0.01, 0.01, 0.01], rel=1e-12
    )


def test_trained_on_twice_and_killed_between_it_is_the_run_that_was_trained_on_once(tmp_path: Path) -> None:
    longer = replace(COSINE, max_epochs=6)
    for name in ("once", "twice"):
        rates(COSINE, tmp_path / name)
    once, twice = Task(longer), Task(longer)
    with Run(tmp_path / "once", resume=True) as run:
        expected = outcome(once, once.train(run))
    rates(replace(COSINE, max_epochs=4), tmp_path / "twice")
    with pytest.raises(Stop), Run(tmp_path / "twice", resume=True, every_seconds=0) as run:
        Task(longer).train(run, Stopping(2))
    with Run(tmp_path / "twice", resume=True) as run:
        assert outcome(twice, twice.train(run)) == expected


def test_fewer_epochs_than_the_run_has_are_refused_by_name(tmp_path: Path) -> None:
    rates(COSINE, tmp_path / "run")
    rates(replace(COSINE, max_epochs=5), tmp_path / "run")
    with pytest.raises(InputError, match=r"holds a run with config\.max_epochs = 5, not 3; expected the same settings"):
        rates(COSINE, tmp_path / "run")


class Starts(Callback):
    """Notes how many epochs were behind each training."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def on_train_start(self, training: TrainingInfo) -> None:
        self.seen.append(training.epochs_done)

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> None:
        if len(self.seen) == 1 and entry["epoch"] == 1:
            raise Stop


def test_a_run_that_begins_with_other_parameters_begins_anew(tmp_path: Path) -> None:
    undisturbed, starts = Task(ADAM), Starts()
    expected = outcome(undisturbed, undisturbed.train())
    with pytest.raises(Stop), Run(tmp_path / "run", every_seconds=0, start="one") as run:
        Task(ADAM).train(run, starts)
    for start, behind in (("one", 1), ("other", 0), ("other", 2)):
        again = Task(ADAM)
        with Run(tmp_path / "run", resume=True, start=start) as run:
            assert outcome(again, again.train(run, starts)) == expected
            assert epochs_on_disk(run) == expected["history"]
        assert starts.seen[-1] == behind
