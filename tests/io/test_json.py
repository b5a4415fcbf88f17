"""JSON files hold plain data with finite numbers, and are whole or absent."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from longlag.errors import InputError
from longlag.io.json import write_json

NOT_FINITE = [float("nan"), float("inf"), float("-inf")]


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
