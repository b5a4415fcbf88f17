"""The committed results are tables of today's code, and stored trials are found by the names that they were given."""

from __future__ import annotations

import json
from dataclasses import make_dataclass
from pathlib import Path

import pytest

from longlag.cell import CellSpec
from longlag_lab.batch2013 import report as batch2013
from longlag_lab.batch2013 import vectorised
from longlag_lab.batch2013.experiment import EXPERIMENT as BATCH2013
from longlag_lab.harness.config_text import config_text
from longlag_lab.harness.request import Request
from longlag_lab.hochreiter1997 import report as hochreiter1997
from longlag_lab.hochreiter1997.experiment import EXPERIMENT as HOCHREITER1997

RESULTS = Path(__file__).parents[3] / "results"
NAMES = json.loads(Path(__file__).with_name("trial_files.json").read_text(encoding="utf-8"))
TABLES = {
    **{
        f"hochreiter1997/{name}": hochreiter1997.table(number)
        for name, number in (("limits", 0), *((f"table{n}", n) for n in range(1, 10)))
    },
    **{
        f"batch2013/{figure}": batch2013.table(figure)
        for figure in ("fig2b", "fig3a", "fig3c", "hf", "lags", "precision", "xor")
    },
    "batch2013/fig3b": vectorised.TABLE,
}


def test_every_committed_table_is_one_that_is_read():
    readings = "hochreiter1997/readings"  # no table of an experiment: see laboratory/questions
    committed = {str(path.relative_to(RESULTS).with_suffix("")) for path in RESULTS.glob("*/*.json")}
    assert committed == {*TABLES, readings}


@pytest.mark.costly
@pytest.mark.parametrize("name", TABLES)
def test_a_committed_table_is_joined_with_a_row_and_written_back_as_it_was(name, tmp_path, monkeypatch):
    monkeypatch.setattr("longlag_lab.harness.results.curves_figure", lambda *_, **__: None)
    table, folder = TABLES[name], RESULTS / Path(name).parent
    rows = table.read(folder)
    assert rows
    for place, row in enumerate(rows):
        others = [other for other in rows if other is not row]
        joined, stay = table.join(others, [row])
        assert stay == []
        assert sorted(map(table.key, joined)) == sorted(map(table.key, rows))
        assert table.join(rows, [row]) == (rows, [])
        fewer = row | {"trials": row["trials"] - 1}
        assert table.join(rows, [fewer]) == (rows, [rows[place]])
    document = json.loads((folder / f"{table.name}.json").read_text(encoding="utf-8"))
    (tmp_path / f"{table.name}.json").write_text(json.dumps(document), encoding="utf-8")
    paths, stay = table.write(tmp_path, [rows[-1]])
    assert stay == []
    assert json.loads(paths[0].read_text(encoding="utf-8"))["rows"] == document["rows"]
    assert paths[1].read_bytes() == (folder / f"{table.name}.md").read_bytes()


@pytest.mark.parametrize(
    ("experiment", "names"), [(HOCHREITER1997, ("1997", "limits")), (BATCH2013, ("2013",))], ids=["1997", "2013"]
)
def test_trials_are_stored_under_the_names_that_they_had_when_the_tables_were_made(experiment, names, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.1.0")
    jobs = experiment.select(Request(names=names)).jobs
    assert [job.file_name for job in jobs] == NAMES[experiment.folder]


def test_a_field_that_came_later_changes_the_text_of_a_configuration_only_where_it_is_set():
    today = config_text(CellSpec())
    assert today == repr(CellSpec())
    later = make_dataclass("CellSpec", [("zoneout", float, 0.0)], bases=(CellSpec,), frozen=True)
    assert config_text([later()]) == f"[{today}]"
    assert config_text(later(zoneout=0.5)) == f"{today[:-1]}, zoneout=0.5)"
