"""Trials that have ended, one line each, so that a run that was cut short loses only those that were under way."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from longlag.errors import CheckpointError
from longlag.experiments.hochreiter1997.work import Outcome, Work, fingerprint
from longlag.training.record import writing

__all__ = ["Keeper"]


class Keeper:
    """Files ``<row>.<reading>.jsonl`` in a folder. The first line says what was run: other settings are not mixed.

    resume : False: what is there is of no interest, and is overwritten.
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.folder, self.resume = folder, resume

    def path(self, work: Work) -> Path:
        """Where a work's trials stand."""
        return self.folder / f"{work.name}.jsonl"

    def load(self, work: Work) -> tuple[dict[int, Outcome], int, float]:
        """The trials that are there, 0, and the seconds that they took."""
        path, head = self.path(work), _head(work)
        with writing(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = path.read_bytes() if self.resume and path.exists() else b""
        lines = kept.decode("utf-8", errors="replace").splitlines()  # what is no text is no trial either, see below
        outcomes: dict[int, Outcome] = {}
        seconds = 0.0
        if lines and lines[0] == head:
            for number, line in enumerate(lines[1:], 2):
                try:
                    document = json.loads(line)
                    if "seconds" in document:
                        seconds += float(document["seconds"])
                    else:
                        outcome = Outcome.of(document)
                        outcomes[outcome.trial] = outcome
                except (ValueError, TypeError, KeyError) as error:
                    if number == len(lines):  # cut off in the middle of writing
                        break
                    raise CheckpointError(f"{path}, line {number} is not a trial; expected to be left alone") from error
        self._write(path, [head, *(json.dumps(outcome.plain()) for outcome in outcomes.values())])
        if seconds:
            self._append(path, json.dumps({"seconds": seconds}))
        return {n: outcome for n, outcome in outcomes.items() if n < work.trials}, 0, seconds

    def add(self, work: Work, outcome: Outcome) -> None:
        """One more trial has ended."""
        self._append(self.path(work), json.dumps(outcome.plain()))

    def close(self, work: Work, seconds: float) -> None:
        """All have."""
        self._append(self.path(work), json.dumps({"seconds": seconds}))

    def _append(self, path: Path, line: str) -> None:
        with writing(path), path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def _write(self, path: Path, lines: list[str]) -> None:
        beside = path.with_name(f".{path.name}.new")
        with writing(path):
            beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            beside.replace(path)


def _head(work: Work) -> str:
    what = {"row": work.row.name, "reading": work.reading, "cap": work.cap, "seed": work.seed}
    return json.dumps(what | {"setting": hashlib.sha256(fingerprint(work).encode()).hexdigest()[:16]})
