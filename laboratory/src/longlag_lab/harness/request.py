"""What a user asks to have reproduced, and what a paper makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from longlag.errors import InputError
from longlag_lab.harness.results import ResultTable, Row

__all__ = ["Request", "Selection", "Timing"]

JobT = TypeVar("JobT")


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of ``longlag reproduce`` that choose what is run.

    Parameters
    ----------
    names : tuple of str
        Tables, figures or papers.
    rows : str, optional
        Names of rows, joined by commas; None: all.
    trials : int, optional
        Trials of each row; None: the paper's.
    cap : int, optional
        Sequences of a trial at most; None: what follows from the paper. The 1997 paper's rows alone have one.
    seed : int
    variant : str, optional
        The variant (``--reading``) of each row; None: all that it has. The 1997 paper's rows alone have some.
    """

    names: tuple[str, ...] = ()
    rows: str | None = None
    trials: int | None = None
    cap: int | None = None
    seed: int = 0
    variant: str | None = None

    def row_names(self, example: str) -> list[str] | None:
        """Return the names of the rows; None: all. InputError if there are none, with an example of some."""
        if self.rows is None:
            return None
        names = [name.strip() for name in self.rows.split(",") if name.strip()]
        if not names:
            raise InputError(f"--rows is {self.rows!r}; expected names such as {example} (longlag reproduce --list)")
        return names


@dataclass(frozen=True)
class Timing:
    """A table of times, which are measured when nothing else runs, and not stored trial by trial."""

    table: ResultTable
    measure: Callable[[], list[Row]]


@dataclass(frozen=True, kw_only=True)
class Selection(Generic[JobT]):
    """What a request means in a paper.

    Parameters
    ----------
    jobs : list
    listing : list of (dict, list)
        Each row that is meant: as JSON, and as cells of a table for people.
    left_out : list of str
        Rows that were asked for, and lack the variant that was asked for.
    timings : list of Timing
    """

    jobs: list[JobT]
    listing: list[tuple[dict[str, Any], list[Any]]]
    left_out: list[str] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
