"""Calling the longlag command in this process, and what its tests read and write."""

from __future__ import annotations

import csv
import functools
import io
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import typer.main

from longlag.cli import main as command

SHORT = ("--max-epochs", "2", "--hidden-size", "4")
QUICK = ("--lags", "3", *SHORT, "--networks", "1")

_built = functools.cache(typer.main.get_command)
"""The commands with all their options: a process builds them once, and so does one that runs many."""


@dataclass(frozen=True)
class Answer:
    """Exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def longlag(*words: object) -> Answer:
    """What ``longlag WORDS`` answers; an exception that escapes fails the test, as its traceback fails a user."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["longlag", *map(str, words)])
        patch.setattr(typer.main, "get_command", _built)
        try:
            command.main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
    return Answer(code, out.getvalue(), err.getvalue())


def done(*words: object) -> str:
    """Standard output of a command that must succeed without a word on standard error."""
    answer = longlag(*words)
    assert (answer.code, answer.err) == (0, ""), answer
    return answer.out


def rows_of(text: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of CSV text."""
    header, *rows = csv.reader(io.StringIO(text))
    return header, rows


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: its files' bytes, None for a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def sentence(answer: Answer, code: int = 2) -> str:
    """The one sentence of a command that refuses, after ``longlag: ``."""
    assert answer.code == code, answer
    assert answer.out == ""
    assert answer.err.startswith("longlag: ")
    assert answer.err.endswith("\n")
    assert answer.err.count("\n") == 1, answer.err
    assert "Traceback" not in answer.err
    return answer.err.removeprefix("longlag: ").rstrip("\n")


def refused(*words: object, says: Iterable[str]) -> str:
    """The sentence of a command that must refuse bad input: exit code 2, these words, and nothing written."""
    before = tree(Path())
    said = sentence(longlag(*words))
    assert tree(Path()) == before
    for part in says:
        assert part in said, said
    return said


def table(name: str, header: Sequence[str], rows: Iterable[Sequence[object]], delimiter: str = ",") -> str:
    """Write a text table into the current folder and give back its name."""
    lines = [delimiter.join(map(str, row)) for row in (header, *rows)]
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return name


def wave(steps: int = 60) -> list[float]:
    """A trend with a wave and some noise."""
    noise = np.random.default_rng(5).normal(size=steps)
    return [round(float(value), 6) for value in np.sin(np.arange(steps) / 2) + np.arange(steps) / 50 + 0.1 * noise]


def series(name: str = "series.csv", steps: int = 60) -> str:
    """A table with the columns step (counted from 1) and y."""
    return table(name, ("step", "y"), enumerate(wave(steps), start=1))


def panel(name: str = "panel.csv", lengths: Sequence[int] = (48, 40, 33), first: int = 0) -> str:
    """A table store, month, units: series of different length, scale, begin and end, a season of 12 in each.

    ``first`` months of each are left out.
    """
    rng, rows = np.random.default_rng(11), []
    for number, length in enumerate(lengths):
        noise = rng.normal(size=length)
        for month in range(length):
            if month >= first:
                units = 10.0**number * (20 + 3 * np.sin(month * np.pi / 6) + 0.3 * noise[month])
                at = month + 2 * number
                rows.append((f"s{number}", f"{2015 + at // 12}-{at % 12 + 1:02d}-01", round(float(units), 4)))
    return table(name, ("store", "month", "units"), rows)


def sequences(answer: str = "kind", name: str = "long.csv", count: int = 24) -> str:
    """A long table id, a, b, answer: sequences of 3 to 6 rows, whose kind says if they rise, or whose score how far."""
    rng, rows = np.random.default_rng(7), []
    for number in range(count):
        values = np.cumsum(rng.random(3 + number % 4)) * (1 if number % 2 else -1)
        asked = ("rising" if number % 2 else "falling") if answer == "kind" else round(float(values[-1]), 4)
        rows += [(f"s{number}", round(value, 4), round(-value, 4), asked) for value in values.tolist()]
    return table(name, ("id", "a", "b", answer), rows)


def rows_to_classify(name: str = "rows.csv", rows: int = 40) -> str:
    """A table with three number columns and a class of whole numbers."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(rows, 3)).round(4)
    return table(name, ("a", "b", "c", "label"), [(*row, 1 + int(row[0] > row[2])) for row in values.tolist()])


def flip(path: Path, place: int = -1) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
