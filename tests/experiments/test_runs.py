"""Works: in this process or in several, whole or cut short, the same trials come out."""

from __future__ import annotations

import json
import multiprocessing
import threading

import pytest

from longlag.errors import CheckpointError, InputError
from longlag.experiments.hochreiter1997 import report
from longlag.experiments.hochreiter1997.keeping import Keeper
from longlag.experiments.hochreiter1997.paper import ROWS, chosen
from longlag.experiments.hochreiter1997.run import run
from longlag.experiments.hochreiter1997.work import Work

BY_NAME = {row.name: row for row in ROWS}


def works(*names, trials=2, cap=300, seed=3):
    return [Work(BY_NAME[name], "literal", trials, cap, seed) for name in names]


def plain(states):
    return [{n: outcome.plain() for n, outcome in sorted(state.outcomes.items())} for state in states]


def test_several_processes_find_what_one_finds(tmp_path):
    asked = works("4-1", "6a", "3a-1")
    one = run(asked, Keeper(tmp_path / "one", resume=False))
    two = run(asked, Keeper(tmp_path / "two", resume=False), jobs=2)
    assert plain(one) == plain(two)
    assert all(state.done and len(state.outcomes) == 2 for state in two)


def test_a_run_that_was_cut_short_goes_on_with_the_trials_that_are_missing(tmp_path):
    whole = run(works("6a", trials=4), Keeper(tmp_path / "whole", resume=False))
    run(works("6a", trials=2), Keeper(tmp_path / "cut", resume=False))
    path = tmp_path / "cut" / "6a.literal.jsonl"
    path.write_text(path.read_text() + '{"trial": 3, "sol')  # killed while writing
    before = path.read_text().splitlines()[1]
    resumed = run(works("6a", trials=4), Keeper(tmp_path / "cut", resume=True))
    assert plain(resumed) == plain(whole)
    assert before in path.read_text().splitlines()  # kept, not run again


def test_trials_of_other_settings_are_not_mixed_in(tmp_path):
    run(works("6a", seed=1), Keeper(tmp_path, resume=False))
    other = run(works("6a", seed=2), Keeper(tmp_path, resume=True))
    fresh = run(works("6a", seed=2), Keeper(tmp_path / "fresh", resume=False))
    assert plain(other) == plain(fresh)


def test_without_resume_what_is_there_is_run_again(tmp_path):
    keeper = Keeper(tmp_path, resume=False)
    first = run(works("6a"), keeper)
    seen = []
    again = run(works("6a"), Keeper(tmp_path, resume=False), show=lambda states: seen.append(len(states[0].outcomes)))
    assert plain(first) == plain(again)
    assert seen[0] <= 1


def test_a_damaged_line_is_named(tmp_path):
    keeper = Keeper(tmp_path, resume=True)
    run(works("6a"), keeper)
    path = tmp_path / "6a.literal.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "{}", *lines[1:]]) + "\n")
    with pytest.raises(CheckpointError, match="line 2 is not a trial"):
        run(works("6a"), keeper)


def test_a_table_shows_the_papers_value_beside_ours(tmp_path):
    states = run(works("6a", "4-1"), Keeper(tmp_path / "trials", resume=False))
    paths = report.write(tmp_path, 9, states)
    assert [path.name for path in paths] == ["table9.json", "table9.md", "table9.png"]
    found = json.loads(paths[0].read_text())["rows"]
    wanted = {"paper", "table", "row", "learner", "reading", "weights", "trials", "solved", "mean", "min", "max"}
    for row in found:
        assert wanted | {"cap", "paper_value", "seconds", "seed"} <= row.keys()
        assert (row["solved"], row["mean"], row["cap"], row["seed"]) == (0, None, 300, 3)
    text = paths[1].read_text()
    assert "| 6a | LSTM | two symbols | literal | 156 | 31,390 | 100% | - | - | 0/2 |" in text
    assert paths[2].read_bytes().startswith(b"\x89PNG")
    report.write(tmp_path, 9, states[:1])  # again: the other row stays
    assert json.loads(paths[0].read_text())["rows"] == found


def test_rows_are_chosen_by_name_or_by_the_beginning_of_it():
    assert [row.name for row in chosen([3], ["2c-1", "2c-3"])] == ["2c-1", "2c-3"]
    assert [row.name for row in chosen([4], ["3a"])] == ["3a-guess", "3a-1", "3a-2", "3a-3"]
    assert len(chosen(range(10), None)) == len(ROWS)
    with pytest.raises(InputError, match="row '9z' is not among those asked for; expected some of 3a-guess"):
        chosen([4], ["9z"])


def test_every_table_is_there_with_the_papers_number_of_rows():
    lstm = {n: sum(row.table == n and row.learner == "LSTM" for row in ROWS) for n in range(1, 10)}
    assert lstm == {1: 5, 2: 2, 3: 9, 4: 3, 5: 3, 6: 2, 7: 3, 8: 2, 9: 2}
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert BY_NAME["4-1"].cap == 3 * 74_000
    assert BY_NAME["2a-rtrl-100"].cap == 1_000_000


def test_a_file_that_is_no_text_is_named(tmp_path):
    run(works("6a"), Keeper(tmp_path, resume=True))
    path = tmp_path / "6a.literal.jsonl"
    head, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + b"\xff\xfe\x00\n" + b"".join(rest))
    with pytest.raises(CheckpointError, match="line 2 is not a trial"):
        run(works("6a"), Keeper(tmp_path, resume=True))


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_run_stops_its_workers_and_keeps_what_has_ended(jobs, tmp_path):
    asked = [*works("6a", trials=2), *works("4-3", trials=2, cap=5_000)]

    def interrupt(states):
        if any(state.outcomes for state in states):
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run(asked, Keeper(tmp_path, resume=False), jobs=jobs, show=interrupt)
    assert not multiprocessing.active_children()
    assert threading.active_count() <= before + (jobs > 1)  # a queue of processes may still be closing
    kept = sum(len(Keeper(tmp_path, resume=True).load(work)[0]) for work in asked)
    assert 1 <= kept < 4
