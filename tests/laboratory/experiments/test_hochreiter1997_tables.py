"""Tables: beside the paper's values, and joined with those of earlier runs."""

from __future__ import annotations

import json
import re

import pytest
from example_jobs import BY_NAME, jobs, run, store

from longlag.errors import CheckpointError, InputError
from longlag_lab.hochreiter1997.paper import ROWS, chosen
from longlag_lab.hochreiter1997.report import record, table


@pytest.mark.costly
def test_a_table_shows_the_papers_value_beside_ours(tmp_path):
    states = run(jobs("6a", "4-1"), store(tmp_path / "trials", resume=False))
    paths, stay = table(9).write(tmp_path, [record(state) for state in states])
    assert stay == []
    assert [path.name for path in paths] == ["table9.json", "table9.md", "table9.png"]
    found = json.loads(paths[0].read_text())["rows"]
    wanted = {"paper", "table", "row", "learner", "reading", "weights", "trials", "solved", "mean", "min", "max"}
    for row in found:
        assert wanted | {"cap", "paper_value", "seconds", "seed"} <= row.keys()
        assert (row["solved"], row["mean"], row["cap"], row["seed"]) == (0, None, 300, 3)
    text = paths[1].read_text()
    assert "| 6a | LSTM | two symbols | literal | 156 | 31,390 | 100% | - | - | 0/2 |" in text
    assert paths[2].read_bytes().startswith(b"\x89PNG")
    table(9).write(tmp_path, [record(states[0])])  # again: the other row stays
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


def test_a_row_gives_way_only_to_as_many_trials_and_the_papers_cap_only_to_itself():
    def row(trials, cap):
        return {"row": "6a", "reading": "literal", "trials": trials, "cap": cap}

    paper = BY_NAME["6a"].cap
    for old, new in [((4, 100), (4, 200)), ((4, 100), (2, paper)), ((2, paper), (2, paper)), ((2, 100), (3, 50))]:
        assert table(9).join([row(*old)], [row(*new)]) == ([row(*new)], [])
    for old, new in [((4, paper), (3, paper)), ((4, paper), (9, 100)), ((4, 100), (3, 100))]:
        assert table(9).join([row(*old)], [row(*new)]) == ([row(*old)], [row(*old)])


def test_a_table_of_better_rows_is_not_written_again(tmp_path):
    many, few = (run(jobs("6a", trials=trials), store(tmp_path / "trials", resume=True)) for trials in (2, 1))
    paths, _ = table(9).write(tmp_path, [record(state) for state in many])
    before = [path.read_bytes() for path in paths]
    paths_of_few, stay = table(9).write(tmp_path, [record(state) for state in few])
    assert paths_of_few == []
    assert [(row["row"], row["trials"]) for row in stay] == [("6a", 2)]
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.costly
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("row", ["6a"]),
        ("row", "7x"),
        ("reading", "loose"),
        ("title", None),
        ("trials", None),
        ("solved", 3),
        ("cap", 0),
        ("seconds", "long"),
        ("mean", "early"),
        ("paper_value", 0),
        ("test", {"wrong": 1}),
        ("also", [1]),
        ("also", {"ST1": {"mean": 1.0}}),
        ("curve", {"places": [1.0]}),
        ("curve", {"places": [1.0], "low": [1.0], "middle": ["1"], "high": [1.0]}),
        ("change", 1),
        ("curve", "missing"),
    ],
)
def test_a_damaged_row_of_an_earlier_table_is_named(name, value, tmp_path):
    states = run(jobs("6a"), store(tmp_path / "trials", resume=False))
    path = table(9).write(tmp_path, [record(state) for state in states])[0][0]
    table(9).read(tmp_path)  # whole
    document = json.loads(path.read_text())
    if value == "missing":
        del document["rows"][0][name]
    else:
        document["rows"][0][name] = value
    path.write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match=f"{re.escape(str(path))}, row 1 (is damaged: .*|has no .*)"):
        table(9).read(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": 1}', '{"rows": [1]}', '{"rows": [{"row": "6b"}]}'])
def test_a_file_that_is_no_table_is_named(text, tmp_path):
    (tmp_path / "table9.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"table9\.json.*expected"):
        table(9).read(tmp_path)
