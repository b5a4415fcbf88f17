"""Trials that have ended, one line each, so that a run that was cut short loses only those that were under way."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from longlag.errors import CheckpointError, InputError
from longlag.io.files import writing
from longlag.io.history import History
from longlag_lab.hochreiter1997.outcome import Outcome
from longlag_lab.hochreiter1997.work import Work, fingerprint

__all__ = ["Keeper"]


class Keeper:
    """Files ``<row>.<reading>.<digest>.jsonl`` in a folder. The digest is of all that a trial's result depends on, the
    cap and the seed included: a run with other settings has other files. The first line says what was run.

    resume : False: what is there is of no interest; it is set aside, as ``.old``, when the first new trial has ended
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.folder, self.resume = folder, resume
        self._begun: set[Path] = set()

    def path(self, work: Work) -> Path:
        """Where a work's trials stand."""
        digest = hashlib.sha256(fingerprint(work).encode()).hexdigest()[:12]
        return self.folder / f"{work.name}.{digest}.jsonl"

    def load(self, work: Work) -> dict[int, Outcome]:
        """The trials that are there, by number. CheckpointError names the line that is none."""
        path = self.path(work)
        if not self.resume:
            return {}
        with writing(path):
            self.folder.mkdir(parents=True, exist_ok=True)
        lines = History(path).entries()
        if lines and lines[0] != _head(work):
            raise CheckpointError(f"{path}, line 1 does not say what was run; expected {_head(work)}, or no such file")
        outcomes: dict[int, Outcome] = {}
        for number, line in enumerate(lines[1:], 2):
            try:
                outcome = Outcome.of(line)
            except InputError as error:
                raise CheckpointError(f"{path}, line {number} is not a trial: {error}") from error
            outcomes[outcome.trial] = outcome
        return {n: outcome for n, outcome in outcomes.items() if n < work.trials}

    def add(self, work: Work, outcome: Outcome) -> None:
        """One more trial has ended."""
        path = self.path(work)
        with writing(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self.resume and path not in self._begun and path.exists():
                path.replace(path.with_name(f"{path.name}.old"))
        history = History(path)
        if path not in self._begun and not history.entries():  # no file, or a head cut off in the middle of writing
            history.append(_head(work))
        self._begun.add(path)
        history.append(outcome.plain())


def _head(work: Work) -> dict[str, Any]:
    return {"row": work.row.name, "reading": work.reading, "cap": work.cap, "seed": work.seed}
