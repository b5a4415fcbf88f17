"""``longlag reproduce`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.commands import longlag, refused
from longlag_lab.harness.exclusive import exclusive
from longlag_lab.harness.experiment import Experiment


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


@pytest.mark.costly
def test_a_row_is_run_and_written_and_printed_as_one_object():
    rows = rows_of("table9", "--rows", "6a", "--reading", "literal", "--trials", "2", "--cap", "500", "--json")
    assert [(row["row"], row["trials"], row["solved"]) for row in rows] == [("6a", 2, 0)]
    written = Path("results", "hochreiter1997")
    assert {path.name for path in written.iterdir()} == {"table9.json", "table9.md", "table9.png", "trials"}
    kept = json.loads((written / "table9.json").read_text())["rows"]
    assert [{name: value for name, value in row.items() if name != "curve"} for row in kept] == rows


@pytest.mark.processes
@pytest.mark.usefixtures("forked_workers")
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
        (["--list", "extra"], "'extra' cannot be reproduced; expected table1"),
        (["--list", "--rows", "zz"], "row 'zz' is not among those asked for"),
        (["--list", "--reading", "loose"], "--reading is 'loose'; expected literal, best, today"),
        (["table9", "--rows", ","], "--rows is ','; expected names such as"),
        (["table9", "--rows", "7x"], "row '7x' is not among those asked for"),
        (["table9", "--reading", "loose"], "--reading is 'loose'; expected literal, best, today"),
    ],
)
def test_a_bad_request_is_refused_in_one_sentence(words, said):
    refused("reproduce", *words, says=[said])


def test_the_list_is_of_the_rows_that_are_asked_for():
    assert [row["row"] for row in rows_of("--list", "table9", "--json")] == ["6a", "6b"]
    assert [row["row"] for row in rows_of("--list", "--rows", "6b", "--json")] == ["6b"]
    assert {row["table"] for row in rows_of("--list", "limits", "--reading", "today", "--json")} == {0}


def test_rows_without_the_reading_asked_for_are_named():
    words = ("table9", "limits", "--rows", "6a,parity-guess,xor-full", "--reading", "today")
    answer = longlag("reproduce", *words, "--trials", "1", "--cap", "20", "--json")
    assert [json.loads(line)["row"] for line in answer.out.splitlines()] == ["6a"]
    assert answer.err == "longlag: left out, having no reading 'today': xor-full, parity-guess\n"


def test_fewer_trials_leave_a_table_as_it_is_and_say_so():
    words = ("table9", "--rows", "6a", "--reading", "literal", "--cap", "100")
    rows_of(*words, "--trials", "2", "--json")
    written = Path("results", "hochreiter1997")
    before = [(written / f"table9.{ending}").read_bytes() for ending in ("json", "md")]
    answer = longlag("reproduce", *words, "--trials", "1", "--json")
    assert json.loads(answer.out)["trials"] == 1  # what was run is shown all the same
    assert answer.err.startswith(f"longlag: {written} keeps 6a literal (2 trials): this run has fewer trials")
    assert answer.err.count("\n") == 1
    assert [(written / f"table9.{ending}").read_bytes() for ending in ("json", "md")] == before
    assert "no table written" in longlag("reproduce", *words, "--trials", "1").out


def test_a_damaged_table_is_refused_before_anything_runs(monkeypatch):
    folder = Path("results", "hochreiter1997")
    folder.mkdir(parents=True)
    (folder / "table9.json").write_text('{"rows":[{"row":"6b","reading":"best"}]}')
    words = ("table4", "table9", "--rows", "3a-1,6a", "--reading", "literal", "--trials", "1", "--cap", "100")
    monkeypatch.setattr("longlag_lab.harness.experiment.Experiment.run", lambda *_, **__: pytest.fail("it ran"))
    refused("reproduce", *words, says=[str(folder / "table9.json"), "row 1 has no 'title'", "expected"])


def test_a_table_is_written_as_soon_as_its_rows_are_done(monkeypatch):
    run, moments = Experiment.run, []

    def watched(self, jobs, store, *, processes, show):
        def watch(states):
            show(states)
            moments.append(
                ([state.job.name for state in states if state.done], {path.name for path in written.glob("*.json")})
            )

        return run(self, jobs, store, processes=processes, show=watch)

    written = Path("results", "hochreiter1997")
    monkeypatch.setattr(Experiment, "run", watched)
    words = ("table4", "table9", "--rows", "3a-1,6b", "--reading", "literal", "--trials", "1", "--cap", "100")
    rows_of(*words, "--json")
    files = {"3a-1.literal": "table4.json", "6b.literal": "table9.json"}
    assert {len(done) for done, _ in moments} == {0, 1, 2}
    for done, there in moments:
        assert there == {files[name] for name in done}


def test_two_runs_into_one_folder_are_not_let_in():
    words = ("table9", "--rows", "6a", "--reading", "literal", "--trials", "1", "--cap", "100")
    trials = Path("results", "hochreiter1997", "trials")
    with exclusive(trials):
        refused("reproduce", *words, says=[f"another process is writing to {trials}", "expected one writer"])
    rows_of(*words, "--json")
    assert not (trials / ".lock").exists()


def test_a_damaged_trial_is_refused_in_one_sentence():
    words = ("table9", "--rows", "6a", "--reading", "literal", "--trials", "1", "--cap", "100")
    rows_of(*words, "--json")
    path = next(Path("results", "hochreiter1997", "trials").glob("6a.literal.*.jsonl"))
    path.write_text(path.read_text().replace('"trial": 0', '"trial": -1'))
    refused("reproduce", *words, "--resume", says=[f"{path}, line 2 is not a trial: trial is -1; expected"])


def test_a_folder_that_cannot_be_written_is_named():
    Path("taken").write_text("a file")
    words = ("table9", "--rows", "6a", "--trials", "1", "--cap", "100", "--out", "taken")
    refused("reproduce", *words, says=["taken", "cannot be written"])
