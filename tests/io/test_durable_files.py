"""Writers of single files: at every moment a reader meets the old file or the new one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from faults import every_fault, run_in_fork
from longlag.errors import InputError
from longlag.io.files import write_text
from longlag.io.history import History
from longlag.io.json import write_json


@pytest.mark.processes
def test_a_kill_or_failure_at_every_operation_leaves_the_old_file_or_the_new() -> None:
    append, rewind, replace = run_in_fork(__file__)
    assert append >= 4 * 4
    assert rewind >= 4 * 6
    assert replace >= 4 * 6


def test_text_is_written_as_utf_8_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    (tmp_path / ".table.md.new").write_text("what a killed writer left")
    for text in ("after 5 \u00b1 1\n", ""):
        write_text(path, text)
        assert path.read_bytes() == text.encode()
    assert os.listdir(tmp_path) == ["table.md"]
    with pytest.raises(InputError, match=r"table\.md cannot be written"):
        write_text(path / "table.md", "")


# ---- what the first test runs as a script ----


def _steps(history: History) -> list[int]:
    return [entry["step"] for entry in history.entries()]


def _judge_history(old: list[int], new: list[int]) -> Callable[[Path, set[str]], None]:
    def judge(place: Path, allowed: set[str]) -> None:
        history = History(place / "h.jsonl")
        found = _steps(history)
        assert found in [{"old": old, "new": new}[state] for state in _at_last_flush(allowed)], (found, allowed)
        assert allowed != {"old"} or os.listdir(place) == ["h.jsonl"]
        history.rewind(1)
        assert _steps(history) == [0]
        assert os.listdir(place) == ["h.jsonl"]

    return judge


def _judge_json(place: Path, allowed: set[str]) -> None:
    found = json.loads((place / "m.json").read_bytes())
    assert {1: "old", 2: "new"}[found["a"]] in _at_last_flush(allowed), (found, allowed)
    assert allowed != {"old"} or os.listdir(place) == ["m.json"]
    write_json(place / "m.json", {"a": 3})
    assert os.listdir(place) == ["m.json"]


def _at_last_flush(allowed: set[str]) -> set[str]:
    """A file has no old version to go back to when flushing its folder fails, after the rename."""
    return allowed | {"new"}


def _prepare_history(place: Path) -> None:
    for step in range(3):
        History(place / "h.jsonl").append({"step": step})
    with open(place / "h.jsonl", "ab") as file:
        file.write(b'{"half')


if __name__ == "__main__":
    old = [0, 1, 2]
    every_fault(
        _prepare_history,
        lambda place: History(place / "h.jsonl").append({"step": 9}),
        _judge_history(old, [*old, 9]),
    )
    every_fault(_prepare_history, lambda place: History(place / "h.jsonl").rewind(2), _judge_history(old, [0, 1]))
    every_fault(
        lambda place: write_json(place / "m.json", {"a": 1}),
        lambda place: write_json(place / "m.json", {"a": 2}),
        _judge_json,
    )
