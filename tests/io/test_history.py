"""The history of a run survives kills: every whole line stays, and none is half."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.errors import CheckpointError, InputError
from longlag.io.history import History
from property_examples import examples

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


@examples(30)
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
