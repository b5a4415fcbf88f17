"""Run: a directory that a training run writes to while it works, and is continued from after a kill."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor

from longlag.errors import InputError
from longlag.training.checkpoints import Checkpoints
from longlag.training.record import JSON, History, environment, writing
from longlag.training.saved import Saved

__all__ = ["Run"]


class Run:
    """``checkpoints/`` and ``history.jsonl`` below ``directory``. One process at a time writes to a run.

    The history's first line is the run's record (configuration, data fingerprint, versions, commit); one line per
    epoch follows.

    Parameters
    ----------
    directory : path
        Made if missing, in an existing parent.
    resume : bool
        Continue the run that is there; with nothing there, begin one. Without it a run that is there is refused.
    every_seconds : float
        Least time between two checkpoints; 0 saves after every batch. It changes no bit of the result.

    Raises
    ------
    InputError
        If the directory cannot be written, already holds a run (without ``resume``), holds another run (with it), or
        another process is writing to it.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, resume: bool = False, every_seconds: float = 1.0
    ) -> None:
        self.directory = Path(directory)
        self.resume, self.every_seconds = resume, every_seconds
        self.history = History(self.directory / "history.jsonl")
        self._checkpoints = Checkpoints(self.directory / "checkpoints")
        self._identity: dict[str, Any] = {}
        self._saved_at = 0.0

    def __enter__(self) -> Self:
        with writing(self.directory):
            self.directory.mkdir(exist_ok=True)
        self._checkpoints.__enter__()
        if not self.resume and (self._checkpoints.steps() or self.history.path.exists()):
            self._checkpoints.close()
            raise InputError(
                f"{self.directory} already holds a run; expected --resume (resume=True) to continue it, "
                "or another directory"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._checkpoints.close()

    def begin(self, identity: dict[str, Any]) -> Saved | None:
        """Write the record of a new run, or give back the newest checkpoint of the run to continue.

        ``identity`` is what must be equal for the run to be the same one; the first part that differs is named.
        """
        self._identity = identity
        latest = self._checkpoints.latest()
        self._saved_at = time.monotonic()
        if latest is None:
            self.history.rewind(0)
            self.history.append({"record": {**identity, "environment": environment()}})
            return None
        saved = latest[1]
        _same(self.directory, saved.document["identity"], identity)
        self.history.rewind(1 + len(saved.document["watch"]["history"]))
        return saved

    def is_due(self) -> bool:
        """Whether enough time has passed for another checkpoint."""
        return time.monotonic() - self._saved_at >= self.every_seconds

    def save(
        self, step: int, files: Mapping[str, Mapping[str, Tensor]], document: Mapping[str, JSON]
    ) -> None:
        """Save a checkpoint; ``files`` holds tensors by file name without its ending."""
        self._checkpoints.save(
            step,
            {f"{name}.safetensors": tensors for name, tensors in files.items()},
            {**document, "identity": self._identity},
        )
        self._saved_at = time.monotonic()


def _same(directory: Path, old: Mapping[str, Any], new: Mapping[str, Any], place: str = "") -> None:
    for key in sorted(old.keys() | new.keys()):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            _same(directory, before, now, f"{place}{key}.")
        elif before != now:
            if key == "data":
                raise InputError(f"{directory} holds a run on other data; expected the data it began with")
            raise InputError(
                f"{directory} holds a run with {place}{key} = {before!r}, not {now!r}; "
                "expected the same settings to continue it"
            )
