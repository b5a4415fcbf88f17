"""A run on disk: run.json (the request), model/, checkpoints/, history.jsonl, metrics.json, figures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longlag.errors import CheckpointError, InputError
from longlag.io.files import writing
from longlag.io.json import decode_json, write_json

if TYPE_CHECKING:
    from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor

__all__ = ["load_run", "read_json", "request_of", "started"]

_TASKS = {
    "forecast": ("LSTMForecaster", {"target", "time"}),
    "classify": ("LSTMClassifier", {"features", "sequence"}),
    "regress": ("LSTMRegressor", {"features", "sequence"}),
}
"""Each task's estimator, and what run.json must tell to use it."""


@contextmanager
def started(run: Path, request: Mapping[str, Any], *, resume: bool) -> Iterator[None]:
    """Make the directory with its run.json, or check that the run in it has the same request; then train in the block.

    If the block fails before training begins, all that was made is removed.

    Raises
    ------
    InputError
        If the directory holds a run and ``resume`` is not set, or a run with another request; only ``max_epochs`` may
        be larger than it was.
    """
    record = run / "run.json"
    with writing(run):
        exists = record.is_file()
    if exists:
        if not resume:
            raise InputError(f"{run} already holds a run; expected --resume to continue it, or another --out")
        before = read_json(record)
        _same(run, before, request)
        yield
        if before.get("max_epochs") != request.get("max_epochs"):
            write_json(record, request)  # now that it has been trained on
        return
    with writing(run):
        made = _make_folder(run)
        try:
            write_json(record, request)
        except BaseException:
            _remove(run, made)
            raise
    try:
        yield
    except Exception:
        if not any(run.rglob("history.jsonl")):  # its first line is written when training begins
            _remove(run, made)
        raise


def _same(run: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) == now.get(name):
            continue
        if name == "max_epochs" and now.get(name) is not None and now[name] > (before.get(name) or 0):
            continue  # the run trains on; fewer than it had, where it was not said how many, training refuses
        if name == "data_sha256":
            raise InputError(f"{run} holds a run on other data; expected the data it began with")
        raise InputError(
            f"{run} holds a run with {name} = {before.get(name)!r}, not {now.get(name)!r}; "
            "expected the same command to continue it"
        )


def _make_folder(run: Path) -> list[Path]:
    """Make ``run`` and its missing parents, and give back those that were made. InputError if it holds something."""
    missing = [folder for folder in (run, *run.parents) if not folder.exists()]
    # A kill before the first file leaves an empty folder or a half-written .run.json.new: that is ours.
    if not missing and not (run.is_dir() and all(entry.name == ".run.json.new" for entry in run.iterdir())):
        raise InputError(f"{run} exists and is not a run; expected a new or empty directory")
    run.mkdir(parents=True, exist_ok=True)
    return missing


def _remove(run: Path, made: list[Path]) -> None:
    with suppress(OSError):  # a folder that is not empty is not ours alone, and stays
        (run / "run.json").unlink(missing_ok=True)
        if (run / "checkpoints").is_dir():
            (run / "checkpoints").rmdir()
        for folder in made:
            folder.rmdir()


def request_of(run: Path) -> dict[str, Any]:
    """What a finished run was asked for. CheckpointError if it is none; PyTorch is not needed to say so."""
    if os.path.isfile(run):
        raise CheckpointError(
            f"{run} is a file; expected a run directory as longlag fit writes it (pickle files are never opened)"
        )
    if not os.path.exists(run / "run.json"):  # Path.exists would raise for a name no file can have
        raise CheckpointError(f"{run} is not a run; expected a directory that longlag fit wrote")
    request = read_json(run / "run.json")
    if not (run / "model").exists():
        raise CheckpointError(f"{run} has no model yet; expected a finished run: longlag fit ... --resume ends it")
    if request.get("task") == "forecast" and "next_times" in request:
        raise CheckpointError(
            f"{run} was written by an earlier release, whose forecaster is gone; expected a run of this one: fit again"
        )
    return request


def load_run(run: Path) -> tuple[LSTMForecaster | LSTMClassifier | LSTMRegressor, dict[str, Any]]:
    """The run's model and what was asked. CheckpointError if it is not a finished run."""
    from longlag import estimators  # PyTorch and scikit-learn: seconds

    request = request_of(run)
    model = estimators.load(run / "model")
    kind, needed = _TASKS.get(str(request.get("task")), ("", set()))
    answers = isinstance(model, (estimators.LSTMForecaster, estimators.LSTMClassifier, estimators.LSTMRegressor))
    if not answers or type(model).__name__ != kind or not needed <= request.keys():
        raise CheckpointError(
            f"{run / 'run.json'} does not belong to the {type(model).__name__} in {run / 'model'}; "
            "expected both as longlag fit wrote them"
        )
    return model, request


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a run."""
    try:
        content = decode_json(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}; expected what longlag fit writes") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}; expected a JSON object") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no JSON object; expected what longlag fit writes")
    return content
