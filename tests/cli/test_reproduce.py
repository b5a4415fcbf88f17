"""``longlag reproduce`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import longlag, refused


def rows_of(*words):
    answer = longlag("reproduce", *words)
    assert answer.code == 0, answer
    return [json.loads(line) for line in answer.out.splitlines()]


def test_the_list_has_every_row_as_text_and_as_json():
    rows = rows_of("--list", "--json")
    text = longlag("reproduce", "--list").out
    assert {row["table"] for row in rows} == set(range(10))  # 0: section 6.1
    assert all(row["row"] in text for row in rows)
    assert {"paper", "table", "row", "learner", "weights", "paper_value"} <= rows[0].keys()


def test_a_row_is_run_and_written_and_printed_as_one_object():
    rows = rows_of("table9", "--rows", "6a", "--reading", "literal", "--trials", "2", "--cap", "500", "--json")
    assert [(row["row"], row["trials"], row["solved"]) for row in rows] == [("6a", 2, 0)]
    written = Path("results", "hochreiter1997")
    assert {path.name for path in written.iterdir()} == {"table9.json", "table9.md", "table9.png", "trials"}
    kept = json.loads((written / "table9.json").read_text())["rows"]
    assert [{name: value for name, value in row.items() if name != "curve"} for row in kept] == rows


def test_rows_of_several_tables_are_run_by_several_processes_into_another_folder():
    words = ("table4", "table9", "--rows", "3a-1,6b", "--reading", "literal", "--trials", "1", "--cap", "100")
    rows = rows_of(*words, "--jobs", "2", "--out", "there", "--json")
    assert [row["row"] for row in rows] == ["3a-1", "6b"]
    assert Path("there", "hochreiter1997", "table4.md").exists()


def test_without_json_tables_are_printed_and_rows_announced():
    answer = longlag("reproduce", "table9", "--rows", "6a", "--reading", "literal", "--trials", "1", "--cap", "100")
    assert answer.code == 0
    assert "31,390" in answer.out
    assert "6a.literal: 0/1 solved" in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["table10"], "'table10' cannot be reproduced; expected table1"),
        ([], "nothing to reproduce"),
        (["table9", "--rows", ","], "--rows is ','; expected names such as"),
        (["table9", "--rows", "7x"], "row '7x' is not among those asked for"),
        (["table9", "--reading", "loose"], "--reading is 'loose'; expected literal, best, today"),
    ],
)
def test_a_bad_request_is_refused_in_one_sentence(words, said):
    refused("reproduce", *words, says=[said])


def test_a_folder_that_cannot_be_written_is_named():
    Path("taken").write_text("a file")
    words = ("table9", "--rows", "6a", "--trials", "1", "--cap", "100", "--out", "taken")
    refused("reproduce", *words, says=["taken", "cannot be written"])
