"""``longlag fit FILE`` and no word more: thirteen of sixteen plain tables, and a question about the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import done, refused

from plain_tables import PLAIN_TABLES, PlainTable

pytestmark = pytest.mark.usefixtures("undrawn")

SMALL = ("--max-epochs", 1, "--hidden-size", 4, "--networks", 1)
"""What makes a fit quick and says nothing of the data."""

QUESTIONS = {
    "prices.csv": ["6 columns of numbers", "'Close'", "which is to be forecast? Expected --target"],
    "regions.tsv": ["2 columns of numbers, 'north', 'south': which is to be forecast? Expected --target"],
    "visits.csv": ["line 2, column 'visits'", "with a decimal comma or a thousands separator", "or --decimal"],
}


@pytest.mark.costly
@pytest.mark.parametrize("table", PLAIN_TABLES, ids=lambda table: table.name)
def test_a_plain_table_is_fitted_without_a_word_or_one_question_is_asked(table: PlainTable) -> None:
    values = table.write(Path(table.name))
    if table.name in QUESTIONS:
        refused("fit", table.name, *SMALL, "--out", "run", says=QUESTIONS[table.name])
        return
    document = json.loads(done("fit", table.name, *SMALL, "--json", "--out", "run"))
    assert (document["target"], document["time"], document["series"]) == (table.target, table.time, len(values))
    assert Path("run/metrics.json").is_file()


def test_at_least_twelve_of_sixteen_need_no_word() -> None:
    assert (len(PLAIN_TABLES), len(QUESTIONS)) == (16, 3)
