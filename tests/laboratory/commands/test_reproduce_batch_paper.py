"""``longlag reproduce`` for the batch paper, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.commands import longlag, refused

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def rows_of(*words):
    answer = longlag("reproduce", *words)
    assert answer.code == 0, answer
    return [json.loads(line) for line in answer.out.splitlines()]


def test_the_list_has_every_figure_as_text_and_as_json():
    rows = rows_of("--list", "2013", "--json")
    assert {"fig2b", "fig3a", "fig3b", "fig3c", "hf", "xor", "precision", "lags"} == {row["figure"] for row in rows}
    assert {"paper", "figure", "row", "title", "trials", "paper_value"} == rows[0].keys()
    text = longlag("reproduce", "--list", "fig3c").out
    assert all(row["row"] in text for row in rows if row["figure"] == "fig3c")


@pytest.mark.costly
def test_a_row_is_run_and_written_and_printed_as_one_object():
    rows = rows_of("fig3c", "--rows", "lm", "--trials", "1", "--json")
    assert [(row["row"], row["trials"], row["solved"]) for row in rows] == [("lm", 1, 1)]
    written = Path("results", "batch2013")
    assert {path.name for path in written.iterdir()} == {"fig3c.json", "fig3c.md", "fig3c.png", "trials"}
    kept = json.loads((written / "fig3c.json").read_text())["rows"]
    assert [{name: value for name, value in row.items() if not name.startswith("curve")} for row in kept] == rows


@pytest.mark.costly
def test_without_json_a_table_is_printed_and_the_row_announced():
    answer = longlag("reproduce", "fig3c", "--rows", "lm", "--trials", "1")
    assert answer.code == 0
    assert "1/1" in answer.out
    assert "lm: 1/1 solved, " in answer.err


def test_a_batch_at_once_is_compared_with_sample_by_sample():
    (row,) = rows_of("fig3b", "--rows", "native-10", "--trials", "1", "--json")
    assert row["ratio"] == pytest.approx(row["one_by_one_ms"] / row["together_ms"], rel=1e-3)
    assert Path("results", "batch2013", "fig3b.md").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fig3c", "table1"], "'fig3c' and 'table1' are not of one paper"),
        (["fig3c", "--rows", "zz"], "there is no row 'zz' in fig3c; expected momentum, lbfgs"),
        (["fig3c", "--rows", ","], "--rows is ','; expected names such as"),
        (["hf", "--cap", "5"], "--cap goes with the rows of the 1997 paper"),
        (["hf", "--reading", "best"], "--reading goes with the rows of the 1997 paper"),
    ],
)
def test_a_bad_request_is_refused_in_one_sentence(words, said):
    refused("reproduce", *words, says=[said])
