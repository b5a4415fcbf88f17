"""Files in other forms on the command line: found out and said, or said by options."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from commands import QUICK, done, longlag, refused, series, wave

Finished = Callable[[str], Path]

pytestmark = [pytest.mark.costly, pytest.mark.usefixtures("undrawn")]


def german(name: str = "sales.csv") -> str:
    """The series of ``commands.series`` as a spreadsheet in German saves it."""
    rows = [f"{number};{str(value).replace('.', ',')}" for number, value in enumerate(wave(), start=1)]
    Path(name).write_bytes("\r\n".join(["Schritt;Größe", *rows]).encode("cp1252"))
    return name


FOUND = ["the encoding is cp1252", "the separator is semicolon", "numbers have a decimal comma"]
ROWS = ["no column holds times: rows are taken as steps, in their order", "column 'Schritt' is not used"]


def test_what_was_found_out_about_a_file_stands_above_the_table_and_in_the_json() -> None:
    out = done("fit", german(), "--target", "Größe", *QUICK, "--out", "run")
    assert out.startswith(f"sales.csv as read: {'; '.join(FOUND + ROWS)}\n")
    document = json.loads(done("fit", "sales.csv", "--target", "Größe", *QUICK, "--json", "--out", "other"))
    assert document["notes"] == FOUND + ROWS
    plain = json.loads(done("fit", series(), "--target", "y", *QUICK, "--json", "--out", "plain"))
    assert plain["notes"] == ["column 'step' is taken for the time", "times in 'step' go up by 1"]
    same = ("score", "epochs", "best_epoch", "weights")  # the form of the file changes nothing else
    assert [document[name] for name in same] == [plain[name] for name in same]


def test_predict_says_on_standard_error_what_was_found_out() -> None:
    done("fit", german(), "--target", "Größe", *QUICK, "--out", "run")
    answer = longlag("predict", "run", "sales.csv")
    assert answer.code == 0
    assert answer.err == f"longlag: sales.csv as read: {'; '.join(FOUND + ROWS)}\n"
    assert answer.out.startswith("row,Größe,predicted\n")
    named = longlag("predict", "run", "sales.csv", "--sep", ";", "--decimal", ",", "--encoding", "cp1252")
    assert (named.out, named.err) == (answer.out, f"longlag: sales.csv as read: {'; '.join(ROWS)}\n")


def test_options_say_what_a_file_leaves_open() -> None:
    days = [(1 + day % 12, 1 + day // 12) for day in range(60)]
    rows = [f'{first}/{other}/12,"{number},125"' for number, (other, first) in enumerate(sorted(days))]
    Path("open.csv").write_text("\n".join(["when,y", *rows]), encoding="utf-8")
    words = ("fit", "open.csv", "--target", "y", "--time", "when", "--gaps", "ignore", *QUICK, "--out", "run")
    refused(*words, says=["open.csv, line 3, column 'when'", "'2/1/12'", "expected --date-format '%d/%m/%y'"])
    refused(*words, "--date-format", "%d/%m/%y", says=["open.csv, line 2, column 'y'", "'0,125'", "--decimal"])
    done(*words, "--date-format", "%d/%m/%y", "--decimal", ",")
    Path("gone.csv").write_text("\n".join(["y", "1", "gone", *map(str, wave(30))]), encoding="utf-8")
    words = ("fit", "gone.csv", "--target", "y", *QUICK, "--out", "new")
    refused(*words, says=["line 3", "'gone'; expected a number"])
    refused(*words, "--missing", "lost", says=["line 3", "'gone'; expected a number"])
    done(*words, "--missing", "lost", "--missing", "gone")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--sep", ";;"), ["the separator is ';;'; expected one character", "tab, comma, semicolon"]),
        (("--decimal", "x"), ["the decimal character is 'x'; expected '.' or ','"]),
        (("--encoding", "nothing"), ["the encoding is 'nothing'; expected one that Python knows"]),
        (("--date-format", "dmy"), ["the date format is 'dmy'; expected codes of strptime"]),
        (("--sep", ";"), ["series.csv, line 1: the header is one field, 'step,y'"]),
        (("--encoding", "utf-16"), ["series.csv, line 61: byte", "is not utf-16"]),
    ],
)
@pytest.mark.parametrize("command", ["fit", "predict"])
def test_an_option_that_does_not_fit_the_file_is_refused(
    command: str, options: Sequence[str], says: Sequence[str], finished: Finished
) -> None:
    finished("forecast")
    if command == "fit":
        refused("fit", "series.csv", "--target", "y", *options, "--out", "new", says=says)
    else:
        refused("predict", "run", "series.csv", *options, says=says)


def test_a_built_in_set_has_no_form() -> None:
    refused("fit", "sunspots", "--sep", ";", "--out", "new", says=["the form of a file was given for sunspots"])


def test_the_run_of_a_compressed_file_has_its_name() -> None:
    Path("sales.csv.gz").write_bytes(gzip.compress(Path(series()).read_bytes()))
    done("fit", "sales.csv.gz", "--target", "y", *QUICK)
    assert Path("runs/sales/metrics.json").is_file()
