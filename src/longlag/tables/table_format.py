"""How a table is written: what a reader finds out by itself, unless the user says it."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from longlag.checks import instance_of, shown
from longlag.errors import InputError

__all__ = ["SEPARATOR_WORDS", "TableFormat"]

SEPARATOR_WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "blanks": " ", "pipe": "|"}
"""What a separator may be called on a command line, where a tab is hard to type."""


@dataclass(frozen=True, kw_only=True)
class TableFormat:
    """What is known about the way a file is written; whatever is None is found out from the file.

    Parameters
    ----------
    separator : str or None
        The character between fields, or one of the words tab, comma, semicolon, pipe and blanks. A blank means runs
        of blanks and tabs.
    decimal : "." or "," or None
        The character before the fraction of a number; the other one then separates thousands.
    encoding : str or None
        Python's name of an encoding, such as utf-8, cp1252 or utf-16.
    date_format : str or None
        The form of dates in the codes of ``datetime.strptime``, such as %d/%m/%Y. Columns of text that have this form
        throughout are dates, and no others.
    missing : tuple of str
        Cells that count as missing, beside those that always do.

    Raises
    ------
    InputError
        If a field is something else.
    """

    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    date_format: str | None = None
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        separator = self.separator
        if separator is not None:
            if isinstance(separator, str):
                separator = SEPARATOR_WORDS.get(separator.strip().casefold(), separator)
            if not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n\0':
                raise InputError(
                    f"the separator is {shown(self.separator)}; expected one character that separates fields, or one "
                    "of the words tab, comma, semicolon, pipe, blanks"
                )
            object.__setattr__(self, "separator", separator)
        if self.decimal is not None and (not isinstance(self.decimal, str) or self.decimal not in (".", ",")):
            raise InputError(f"the decimal character is {shown(self.decimal)}; expected '.' or ','")
        if self.encoding is not None:
            self._check_encoding()
        if self.date_format is not None and not (isinstance(self.date_format, str) and "%" in self.date_format):
            raise InputError(
                f"the date format is {shown(self.date_format)}; expected codes of strptime, such as %d/%m/%Y"
            )
        instance_of("missing", self.missing, tuple, "a tuple of the cells that count as missing")
        for cell in self.missing:
            instance_of("a cell that counts as missing", cell, str, "text")

    def _check_encoding(self) -> None:
        instance_of("encoding", self.encoding, str, "the name of an encoding, such as cp1252")
        try:
            is_text = codecs.lookup(str(self.encoding))._is_text_encoding
        except (LookupError, ValueError):
            is_text = False
        if not is_text:
            raise InputError(
                f"the encoding is {shown(self.encoding)}; expected one that Python knows, such as utf-8, cp1252, utf-16"
            )
