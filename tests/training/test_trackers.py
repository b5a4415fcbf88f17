"""TensorBoard, MLflow and Optuna are told the numbers of the history, by their own packages where these are there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from longlag.errors import InputError, InputTypeError
from longlag.nn import SquaredError
from longlag.training import (
    Callback,
    MLflow,
    OptunaPruning,
    Run,
    Stage,
    TensorBoard,
    TrainingConfig,
    TrainingResult,
    train,
)
from training.loop_examples import Spoiled, made, samples
from training.run_tasks import ADAM, Stop, Stopping, Task, outcome

pytestmark = pytest.mark.usefixtures("quick_disk")

CONFIG = TrainingConfig(max_epochs=3, batch_size=2, learning_rate=0.1)
CURVES = {
    "loss/training": "loss",
    "loss/validation": "validation",
    "gradient_norm": "gradient_norm",
    "learning_rate": "learning_rate",
    "sharpness": "sharpness",
}


def trained(*callbacks: Callback, stage: Stage | None = None) -> TrainingResult:
    return train(made(), SquaredError(), samples(), CONFIG, validation=samples(2), callbacks=callbacks, stage=stage)


@pytest.mark.parametrize(
    ("make", "package"),
    [(lambda: TensorBoard("curves"), "tensorboard"), (MLflow, "mlflow"), (lambda: OptunaPruning(None), "optuna")],
)
def test_a_missing_package_is_one_sentence_that_says_what_to_install(
    make: Any, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"'{package}' .* pip install \"longlag\[{package}\]\"$"):
        make()


# -- TensorBoard -------------------------------------------------------------------------------------------------------


def curves(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard itself reads there: values by curve and step."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return {name: {event.step: event.value for event in events.Scalars(name)} for name in events.Tags()["scalars"]}


@pytest.fixture
def tensorboard() -> None:
    pytest.importorskip("tensorboard")


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_reads_the_curves_of_the_history(tmp_path: Path) -> None:
    result = trained(TensorBoard(tmp_path / "curves"))
    found = curves(tmp_path / "curves")
    assert found.keys() == CURVES.keys()
    for name, key in CURVES.items():
        assert list(found[name]) == [1, 2, 3]
        for entry in result.history:
            assert found[name][entry["epoch"]] == pytest.approx(entry[key], rel=1e-6)  # float32 in the file


@pytest.mark.usefixtures("tensorboard")
def test_each_network_and_each_stage_has_curves_of_its_own(tmp_path: Path) -> None:
    callback = TensorBoard(tmp_path)
    for stage in (Stage("fit", 0, 2), Stage("fit", 1, 2), Stage("refit", 1, 2)):
        trained(callback, stage=stage)
    folders = {str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("events*")}
    assert folders == {"network-0", "network-1", "network-1/refit"}


@pytest.mark.usefixtures("tensorboard")
def test_epochs_that_a_continued_run_makes_again_are_there_once(tmp_path: Path) -> None:
    """No checkpoint was due before the end, so the first epoch is trained twice."""
    undisturbed = Task(ADAM)
    expected = outcome(undisturbed, undisturbed.train())
    with pytest.raises(Stop), Run(tmp_path / "run", every_seconds=1e9) as run:
        Task(ADAM).train(run, TensorBoard(tmp_path / "curves"), Stopping(4))
    with Run(tmp_path / "run", resume=True) as run:
        Task(ADAM).train(run, TensorBoard(tmp_path / "curves"))
    found = curves(tmp_path / "curves")["loss/training"]
    assert list(found) == [1, 2]
    assert list(found.values()) == pytest.approx([entry["loss"] for entry in expected["history"]], rel=1e-6)


@pytest.mark.usefixtures("tensorboard")
def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^.*file/curves cannot be written: Not a directory; expected an existing"):
        trained(TensorBoard(tmp_path / "file" / "curves"))


# -- MLflow ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    yield mlflow
    while mlflow.active_run() is not None:
        mlflow.end_run()


def metric(mlflow: Any, run: str, name: str) -> dict[int, float]:
    return {point.step: point.value for point in mlflow.MlflowClient().get_metric_history(run, name)}


@pytest.mark.filterwarnings("ignore")  # of MLflow and what it brings along
def test_mlflow_has_the_configuration_and_the_numbers_of_the_history(mlflow: Any) -> None:
    result = trained(MLflow())
    assert mlflow.active_run() is None
    (run,) = mlflow.MlflowClient().search_runs(["0"])
    assert run.info.status == "FINISHED"
    assert run.data.params["optimizer"] == "adam"
    assert run.data.params["learning_rate"] == "0.1"
    for name in CURVES.values():
        assert metric(mlflow, run.info.run_id, name) == {entry["epoch"]: entry[name] for entry in result.history}


@pytest.mark.filterwarnings("ignore")
def test_mlflow_logs_into_the_run_that_is_active_and_leaves_it_open(mlflow: Any) -> None:
    with mlflow.start_run() as active:
        callback = MLflow()
        trained(callback, stage=Stage("fit", 0, 2))
        second = trained(callback, stage=Stage("fit", 1, 2))
        assert mlflow.active_run().info.run_id == active.info.run_id
    points = metric(mlflow, active.info.run_id, "network-1/loss")
    assert points == {entry["epoch"]: entry["loss"] for entry in second.history}


@pytest.mark.filterwarnings("ignore")
def test_mlflow_is_told_of_a_training_that_failed(mlflow: Any) -> None:
    with pytest.raises(ArithmeticError):
        train(made(), Spoiled(1), samples(), CONFIG, callbacks=[MLflow()])
    (run,) = mlflow.MlflowClient().search_runs(["0"])
    assert run.info.status == "FAILED"


# -- Optuna ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def optuna() -> Any:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_optuna_is_told_the_score_of_each_epoch_and_higher_is_better_where_it_maximises(
    optuna: Any, direction: str, sign: int
) -> None:
    study = optuna.create_study(direction=direction, pruner=optuna.pruners.NopPruner())
    trial = study.ask()
    result = trained(OptunaPruning(trial), stage=Stage("fit", 0, 2))
    trained(OptunaPruning(trial), stage=Stage("fit", 1, 2))
    expected = {entry["epoch"]: sign * entry["validation"] for entry in result.history}
    assert study.get_trials()[0].intermediate_values == expected


def test_a_pruned_trial_ends_training_and_the_study_goes_on(optuna: Any, tmp_path: Path) -> None:
    """The threshold is between the losses of the first epoch and the second."""
    losses = [entry["validation"] for entry in trained().history]
    assert losses[1] < losses[0]
    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=sum(losses[:2]) / 2, n_warmup_steps=2))

    def objective(trial: Any) -> float:
        data, target = samples(), samples(2)
        data = data if trial.number else type(data)(data.inputs, data.lengths, -9 * data.targets, data.target_mask)
        with Run(tmp_path / f"run-{trial.number}") as run:
            result = train(
                made(), SquaredError(), data, CONFIG, validation=target, run=run, callbacks=[OptunaPruning(trial)]
            )
        return float(result.history[-1]["validation"])

    study.optimize(objective, n_trials=2)
    states = [trial.state.name for trial in study.trials]
    assert states == ["PRUNED", "COMPLETE"]
    assert list(study.trials[0].intermediate_values) == [1, 2]
    assert (tmp_path / "run-0" / "history.jsonl").read_text().count("\n") == 3  # the record, and two epochs


def test_what_is_no_trial_is_refused(optuna: Any) -> None:
    with pytest.raises(InputTypeError, match=r"^trial is a str; expected a trial of Optuna$"):
        OptunaPruning("trial")
