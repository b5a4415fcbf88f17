"""A run on disk: run.json (what was asked), model/, checkpoints/, history.jsonl, metrics.json, figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longlag.errors import CheckpointError, InputError
from longlag.estimators import load
from longlag.estimators.base import NetworkEstimator
from longlag.training.record import write_json, writing

__all__ = ["begin", "load_run", "read_json"]


def begin(run: Path, question: Mapping[str, Any], *, resume: bool) -> None:
    """Make the directory and write down what is asked, or check that the run there was asked the same.

    Raises InputError if there is a run and ``resume`` is not set, or it was asked something else.
    """
    asked = run / "run.json"
    if asked.exists():
        if not resume:
            raise InputError(f"{run} already holds a run; expected --resume to continue it, or another --out")
        before = read_json(asked)
        for name in sorted(before.keys() | question.keys()):
            if before.get(name) != question.get(name):
                raise InputError(
                    f"{run} holds a run with {name} = {before.get(name)!r}, not {question.get(name)!r}; "
                    "expected the same command to continue it"
                )
        return
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        # A kill before the first file leaves an empty folder or a half-written .run.json.new: that is ours.
        if not run.is_dir() or any(entry.name != ".run.json.new" for entry in run.iterdir()):
            raise InputError(f"{run} exists and is not a run; expected a new or empty directory")
    with writing(run):
        run.mkdir(parents=True, exist_ok=True)
    write_json(asked, question)


def load_run(run: Path) -> tuple[NetworkEstimator, dict[str, Any]]:
    """The run's model and what was asked. CheckpointError if it is not a finished run."""
    if run.is_file():
        raise CheckpointError(
            f"{run} is a file; expected a run directory as longlag fit writes it (pickle files are never opened)"
        )
    if not (run / "run.json").exists():
        raise CheckpointError(f"{run} is not a run; expected a directory that longlag fit wrote")
    question = read_json(run / "run.json")
    if not (run / "model").exists() and (run / "checkpoints").exists():
        raise CheckpointError(f"{run} has no model yet; expected a finished run: longlag fit ... --resume ends it")
    return load(run / "model"), question


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a run."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds no JSON object; expected what longlag fit writes")
    return found
