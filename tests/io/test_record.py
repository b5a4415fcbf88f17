"""The run record: the history survives kills, metrics are whole or absent, the environment is told."""

from __future__ import annotations

import importlib.metadata
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longlag.errors import CheckpointError, InputError
from longlag.io import environment as where_it_ran
from longlag.io.environment import environment
from longlag.io.files import write_text
from longlag.io.history import History
from longlag.io.json import write_json

NOT_FINITE = [float("nan"), float("inf"), float("-inf")]


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history.jsonl")


def filled(history: History, n: int) -> History:
    for step in range(n):
        history.append({"step": step, "loss": 1 / (step + 1)})
    return history


def steps(history: History) -> list[int]:
    return [entry["step"] for entry in history.entries()]


# ---- history ----


def test_entries_come_back_equal_and_in_order_one_per_line(history: History) -> None:
    assert history.entries() == []
    entries: list[dict[str, Any]] = [
        {"step": 0, "loss": 0.1},
        {"note": "a\nb Größe", "list": [None, True]},
        {},
    ]
    for entry in entries:
        history.append(entry)
    assert history.entries() == entries
    assert History(history.path).entries() == entries
    assert history.path.read_bytes().count(b"\n") == 3


def test_a_half_written_last_line_is_dropped_at_every_length(history: History) -> None:
    filled(history, 2)
    whole = history.path.read_bytes()
    filled(history, 1)
    longer = history.path.read_bytes()
    for cut in range(len(whole), len(longer)):
        history.path.write_bytes(longer[:cut])
        assert steps(history) == [0, 1]
        history.append({"step": 9})
        assert steps(history) == [0, 1, 9]


@pytest.mark.parametrize("line", [b"{broken", b"[1]", b'{"loss": NaN}', b'{"loss": 1e999}', b"\xff", b""])
def test_a_damaged_line_is_named_by_number(history: History, line: bytes) -> None:
    filled(history, 3)
    lines = history.path.read_bytes().splitlines()
    lines[1] = line
    history.path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(CheckpointError, match=r"history.jsonl, line 2 is damaged"):
        history.entries()


@settings(max_examples=30, deadline=None)
@given(n=st.integers(0, 5), kept=st.integers(0, 5), tail=st.binary(max_size=4).filter(lambda b: b"\n" not in b))
def test_rewinding_keeps_the_first_entries_to_the_byte(
    tmp_path_factory: pytest.TempPathFactory, n: int, kept: int, tail: bytes
) -> None:
    history = filled(History(tmp_path_factory.mktemp("rewind") / "history.jsonl"), n)
    whole = history.path.read_bytes() if n else b""
    if n:
        history.path.write_bytes(whole + tail)
    if kept > n:
        with pytest.raises(CheckpointError, match=f"has {n} entries; expected at least {kept}"):
            history.rewind(kept)
        kept = n
    else:
        history.rewind(kept)
        assert b"".join(whole.splitlines(keepends=True)[:kept]) == (history.path.read_bytes() if n else b"")
    assert steps(history) == list(range(kept))
    history.append({"step": 7})
    assert steps(history) == [*range(kept), 7]


def test_rewinding_to_less_than_nothing_is_refused(history: History) -> None:
    with pytest.raises(InputError, match="n_entries is -1"):
        history.rewind(-1)


@pytest.mark.parametrize("number", NOT_FINITE)
def test_an_entry_with_a_number_that_is_not_finite_is_refused_and_nothing_is_added(
    history: History, number: float
) -> None:
    filled(history, 1)
    with pytest.raises(InputError, match=r"entry\['train'\]\['loss'\] is"):
        history.append({"step": 1, "train": {"loss": number}})
    assert steps(history) == [0]


def test_a_full_disk_is_one_sentence_and_the_entries_stay(history: History) -> None:
    with pytest.raises(InputError, match="/dev/full cannot be written: No space left on device; expected"):
        History("/dev/full").append({"step": 0})
    filled(history, 2)
    size = history.path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, hard))
    try:
        with pytest.raises(InputError, match="File too large"):
            history.append({"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert history.path.stat().st_size == size
    assert steps(history) == [0, 1]


@pytest.mark.parametrize("where", ["missing/history.jsonl", "file/history.jsonl", "bad\0name", "."])
def test_a_history_that_cannot_be_written_is_one_sentence(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot be written") as caught:
        History(tmp_path / where).append({"step": 0})
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]


def test_a_kill_or_failure_at_every_operation_leaves_the_old_file_or_the_new() -> None:
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    append, rewind, replace = map(int, done.stdout.split())
    assert append >= 4 * 4
    assert rewind >= 4 * 6
    assert replace >= 4 * 6


# ---- one JSON file ----


def test_json_is_written_sorted_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"b": 1, "a": {"y": [0.1], "x": None}})
    first = path.read_bytes()
    assert json.loads(first) == {"a": {"x": None, "y": [0.1]}, "b": 1}
    write_json(path, {"a": {"x": None, "y": [0.1]}, "b": 1})
    assert path.read_bytes() == first
    write_json(path, {})
    assert path.read_bytes() == b"{}\n"
    assert os.listdir(tmp_path) == ["metrics.json"]


@pytest.mark.parametrize("number", NOT_FINITE)
def test_json_with_a_number_that_is_not_finite_is_refused_and_the_file_stays(tmp_path: Path, number: float) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"loss": 1.0})
    with pytest.raises(InputError, match=r"metrics.json: document\['loss'\]\[0\] is (nan|-?inf); expected a finite"):
        write_json(path, {"loss": [number]})
    assert json.loads(path.read_bytes()) == {"loss": 1.0}


@pytest.mark.parametrize("where", ["missing/metrics.json", "file/metrics.json", "folder", "link", "bad\0name"])
def test_json_that_cannot_be_written_is_one_sentence_and_nothing_is_left(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    os.symlink("file", tmp_path / "link")
    with pytest.raises(InputError, match="cannot be written") as caught:
        write_json(tmp_path / where, {})
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "link"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_pipe_or_device_is_not_turned_into_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe cannot be written: it is not a regular file"):
        write_json(tmp_path / "pipe", {})
    assert (tmp_path / "pipe").is_fifo()


def test_text_is_written_as_utf_8_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    (tmp_path / ".table.md.new").write_text("what a killed writer left")
    for text in ("after 5 \u00b1 1\n", ""):
        write_text(path, text)
        assert path.read_bytes() == text.encode()
    assert os.listdir(tmp_path) == ["table.md"]
    with pytest.raises(InputError, match=r"table\.md cannot be written"):
        write_text(path / "table.md", "")


# ---- environment ----


def test_the_environment_is_plain_json_that_names_no_host(tmp_path: Path) -> None:
    found = environment()
    write_json(tmp_path / "environment.json", found)
    assert json.loads((tmp_path / "environment.json").read_bytes()) == found
    assert found["torch"] == torch.__version__
    assert found["numpy"] == numpy.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["threads"] == torch.get_num_threads()
    assert found["cpu_count"] == os.cpu_count()
    assert os.uname().nodename not in {str(value) for value in found.values()}


def test_the_environment_gives_the_installed_version_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: {"longlag": "1.2.3"}[name])
    assert environment()["longlag"] == "1.2.3"

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert environment()["longlag"] is None


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    package = root / "src" / "longlag"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def test_the_commit_of_a_checkout_is_told_and_marked_when_files_differ(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert where_it_ran._commit(checkout / "src" / "longlag") == head
    (checkout / "src" / "longlag" / "__init__.py").write_text("changed = True")
    assert where_it_ran._commit(checkout / "src" / "longlag") == f"{head}-dirty"


def test_a_copy_installed_inside_another_repository_has_no_commit(checkout: Path) -> None:
    installed = checkout / "vendored" / "longlag"
    installed.mkdir(parents=True)
    assert where_it_ran._commit(installed) is None


def test_a_missing_or_failing_git_means_that_the_commit_is_not_known(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / ".git" / "HEAD").write_text("damaged")
    assert where_it_ran._commit(checkout / "src" / "longlag") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert where_it_ran._commit(checkout / "src" / "longlag") is None


# ---- what the tests above run as a script ----


def _judge_history(old: list[int], new: list[int]) -> Callable[[Path, set[str]], None]:
    def judge(place: Path, allowed: set[str]) -> None:
        history = History(place / "h.jsonl")
        found = steps(history)
        assert found in [{"old": old, "new": new}[state] for state in _at_last_flush(allowed)], (found, allowed)
        assert allowed != {"old"} or os.listdir(place) == ["h.jsonl"]
        history.rewind(1)
        assert steps(history) == [0]
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
    filled(History(place / "h.jsonl"), 3)
    with open(place / "h.jsonl", "ab") as file:
        file.write(b'{"half')


if __name__ == "__main__":
    from test_directory import every_fault

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
