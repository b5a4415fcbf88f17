"""Options that say how a file is written, where a command reads one; without them it is found out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from longlag.data import TableFormat

__all__ = ["DateFormat", "Decimal", "Encoding", "Missing", "Separator", "table_format"]

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
