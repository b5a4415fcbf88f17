"""Dates written as a column wrote them: what a forecast's dates look like follows from those before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["form_of_numbers", "form_of_text", "write_dates"]

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DIRECTIVE = re.compile(r"%(-?[A-Za-z]|\^b|\^B|\|b|\|B|\df|%)")
_SAMPLE = 64  # cells by which a form is tried
_EPOCHS = ("s", "ms", "us", "ns")


def write_dates(times: NDArray[Any], form: str) -> list[Any]:
    """Dates (T,), datetime64, in a form: text, or numbers.

    Parameters
    ----------
    form : as ``datetime.strftime`` has it, with English names, and
        ``%-m %-d %-H %-I`` without a leading zero, ``%q`` the quarter, ``%^b %^B`` names of months in capitals,
        ``%|b %|B`` in small letters, ``%P`` am or pm, ``%3f`` three digits of the second; ``%y`` has four digits where
        two would be read as another century. With a ``#`` before it the text is a whole number; ``#s #ms #us #ns`` are
        the seconds or parts of them since 1970, and ``#.3`` a decimal year of three digits.
    """
    cells: list[Any]
    if form.startswith("#") and form[1:] in _EPOCHS:
        cells = times.astype(f"datetime64[{form[1:]}]").astype(np.int64).tolist()
        return cells
    if form.startswith("#."):
        months = times.astype("datetime64[M]").astype(np.int64)
        cells = np.round(1970 + months / 12, int(form[2:])).tolist()
        return cells
    pieces = _DIRECTIVE.split(form.removeprefix("#"))  # text and directives in turn
    unique, places = np.unique(times.astype("datetime64[us]"), return_inverse=True)
    cells = [
        "".join(_part(piece, moment) if number % 2 else piece for number, piece in enumerate(pieces))
        for moment in unique.tolist()
    ]
    if form.startswith("#"):
        cells = [int(cell) for cell in cells]
    return [cells[place] for place in places]


def form_of_text(cells: Any, dates: NDArray[Any], pattern: re.Pattern[str] | str) -> str | None:
    """The form in which an Arrow array of text writes dates (cells,); None where no form gives its cells back.

    Parameters
    ----------
    pattern : what matches the cells, and names their parts; or a form, which is tried alone
    """
    rows = np.unique(np.linspace(0, len(cells) - 1, _SAMPLE).astype(int))
    sample = [cells[row].as_py().strip() for row in rows.tolist()]
    if isinstance(pattern, str):
        forms: Iterable[str] = [pattern]
    else:
        match = pattern.fullmatch(max(sample, key=len))
        forms = [] if match is None else _candidates(match)
    return next((form for form in forms if write_dates(dates[rows], form) == sample), None)


def form_of_numbers(values: NDArray[Any], dates: NDArray[Any]) -> str | None:
    """The form in which numbers (rows,) stand for dates; None where no form gives them back, and for years."""
    unit = np.datetime_data(dates.dtype)[0]
    forms = {"M": ("#%Y%m",), "D": ("#%Y%m%d",), "s": ("#s", "#%Y%m%d%H%M", "#%Y%m%d%H%M%S")}.get(unit, (f"#{unit}",))
    decimal = tuple(f"#.{digits}" for digits in range(2, 13)) if unit == "M" else ()
    rows = np.unique(np.linspace(0, len(values) - 1, _SAMPLE).astype(int))
    if unit == "Y":
        return None
    return next((form for form in (*forms, *decimal) if write_dates(dates[rows], form) == values[rows].tolist()), None)


def _candidates(match: re.Match[str]) -> Iterator[str]:
    """Forms that a cell may have: with leading zeros or without, whole names or short ones, either order."""
    names = {name for name, text in match.groupdict().items() if text}
    orders = ((("first", "d"), ("other", "m")), (("first", "m"), ("other", "d"))) if "first" in names else ((),)
    for order, zero, whole in product(orders, ("", "-"), ("b", "B") if "name" in names else ("",)):
        tokens = {"month": f"%{zero}m", "day": f"%{zero}d", "quarter": "%q", "minute": "%M", "second": "%S"}
        tokens |= {name: f"%{zero}{letter}" for name, letter in order}
        tokens["weekday"] = "%a" if len(match.groupdict().get("weekday") or "") == 3 else "%A"
        tokens["hour"] = f"%{zero}{'I' if 'half' in names else 'H'}"
        for name in names & {"year", "name", "fraction", "half"}:
            text = match[name]
            if name == "year":
                tokens[name] = "%Y" if len(text) == 4 else "%y"
            elif name == "name":
                tokens[name] = f"%{'^' if text.isupper() else '|' if text.islower() else ''}{whole}"
            elif name == "fraction":
                tokens[name] = f"%{len(text)}f"
            else:
                tokens[name] = "%p" if text.isupper() else "%P"
        parts, end = [], 0
        for name in sorted(names & tokens.keys(), key=match.start):
            parts += [match.string[end : match.start(name)].replace("%", "%%"), tokens[name]]
            end = match.end(name)
        yield "".join([*parts, match.string[end:].replace("%", "%%")])


def _part(directive: str, moment: datetime) -> str:
    """The text of one directive."""
    month = _MONTHS[moment.month - 1]
    match directive:
        case "%":
            return "%"
        case "Y":
            return f"{moment.year:04d}"
        case "y":
            return f"{moment.year % 100:02d}" if 1930 <= moment.year < 2030 else f"{moment.year:04d}"
        case "q":
            return str((moment.month + 2) // 3)
        case "-m" | "-d" | "-H" | "-I":
            return str(int(moment.strftime(f"%{directive[1]}")))
        case "b" | "^b" | "|b" | "B" | "^B" | "|B":
            name = month if directive[-1] == "B" else month[:3]
            return name.upper() if directive[0] == "^" else name.lower() if directive[0] == "|" else name
        case "p" | "P":
            half = "AM" if moment.hour < 12 else "PM"
            return half if directive == "p" else half.lower()
        case _ if directive[0].isdigit():
            return f"{moment.microsecond:06d}"[: int(directive[0])]
        case _:
            return moment.strftime(f"%{directive}")
