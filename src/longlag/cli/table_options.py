"""Options that say how a file is written and what its columns are, where a command reads one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from longlag.data import TableFormat

__all__ = [
    "DateFormat",
    "Decimal",
    "Duplicates",
    "Encoding",
    "Gaps",
    "Id",
    "Missing",
    "Separator",
    "Target",
    "Time",
    "table_format",
]

# The help of each stands once, for all commands that read a file. What is not said is found out.
Separator = Annotated[
    str | None,
    typer.Option("--sep", metavar="CHAR", help="Between fields: a character, tab or blanks. [default: found out]"),
]
Decimal = Annotated[
    str | None, typer.Option("--decimal", metavar="CHAR", help="Before fractions: . or a comma. [default: found out]")
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="Of a text file, as cp1252 or utf-16. [default: found out]"),
]
DateFormat = Annotated[
    str | None,
    typer.Option("--date-format", metavar="FORM", help="Of dates, as %d/%m/%Y. [default: found out]"),
]
Missing = Annotated[
    list[str] | None,
    typer.Option("--missing", metavar="CELL", help="One more cell that counts as missing. May be repeated."),
]

Target = Annotated[
    list[str] | None, typer.Option(metavar="COL", help="Number column to forecast. May be repeated: a series each.")
]
Time = Annotated[str | None, typer.Option(metavar="COL", help="Column with times. [default: found]")]
Id = Annotated[str | None, typer.Option("--id", metavar="COL", help="Column that says which series a row belongs to.")]
Duplicates = Annotated[
    str | None, typer.Option(metavar="WAY", help="Rows of one time: refuse, mean or last. [default: refuse]")
]
Gaps = Annotated[
    str | None,
    typer.Option(metavar="WAY", help="Times without a row: mask, fill, refuse or ignore. [default: mask, if sure]"),
]


def table_format(
    sep: str | None, decimal: str | None, encoding: str | None, date_format: str | None, missing: list[str] | None
) -> TableFormat:
    """The form of a file that these options say.

    Raises
    ------
    InputError
        If one of them says nothing.
    """
    from longlag.data import TableFormat

    return TableFormat(
        separator=sep, decimal=decimal, encoding=encoding, date_format=date_format, missing=tuple(missing or ())
    )
