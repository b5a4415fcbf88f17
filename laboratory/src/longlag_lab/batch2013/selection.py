"""Which rows of the batch paper a request means, and how they are listed."""

from __future__ import annotations

from typing import Any

from longlag.errors import InputError
from longlag_lab.batch2013 import vectorised
from longlag_lab.batch2013.cases import NAMES as FIGURES
from longlag_lab.batch2013.cases import cases
from longlag_lab.batch2013.jobs import Job
from longlag_lab.batch2013.report import FOLDER
from longlag_lab.harness.request import Request, Selection, Timing

__all__ = ["LIST_COLUMNS", "NAMES", "select"]

NAMES = (*FIGURES, vectorised.FIGURE, "2013")
LIST_COLUMNS = ("paper", "figure", "row", "what", "trials", "paper has")
_REPEATS = 15  # of each way to compute a gradient


def select(request: Request) -> Selection[Job]:
    """Return what a request means, in the order of the paper.

    InputError for an option or row that the paper does not have.
    """
    for option, value in (("--cap", request.cap), ("--reading", request.variant)):
        if value is not None:
            raise InputError(f"{option} goes with the rows of the 1997 paper; {request.names[0]!r} has no such choice")
    figures = dict.fromkeys(
        figure for name in request.names for figure in ((*FIGURES, vectorised.FIGURE) if name == "2013" else (name,))
    )
    wanted = [case for figure in figures if figure != vectorised.FIGURE for case in cases(figure)]
    timed = vectorised.ROWS if vectorised.FIGURE in figures else []
    row_names = request.row_names("hf,lm")
    if row_names is not None:
        known = [case.name for case in wanted] + [row.name for row in timed]
        for name in row_names:
            if name not in known:
                raise InputError(f"there is no row {name!r} in {', '.join(figures)}; expected {', '.join(known)}")
        wanted = [case for case in wanted if case.name in row_names]
        timed = [row for row in timed if row.name in row_names]
    repeats = request.trials or _REPEATS
    listing = [_listed(case.figure, case.name, case.title, case.trials, case.paper) for case in wanted]
    listing += [
        _listed(vectorised.FIGURE, row.name, vectorised.BACKENDS[row.backend], _REPEATS, row.paper) for row in timed
    ]
    return Selection(
        jobs=[Job(case, request.trials or case.trials, request.seed) for case in wanted],
        listing=listing,
        timings=[Timing(vectorised.TABLE, lambda: vectorised.measure(timed, trials=repeats, seed=request.seed))]
        if timed
        else [],
    )


def _listed(figure: str, name: str, title: str, trials: int, paper: str | None) -> tuple[dict[str, Any], list[Any]]:
    """Return a row in the list of what can be reproduced, as JSON and as cells under ``LIST_COLUMNS``."""
    document = {"paper": FOLDER, "figure": figure, "row": name, "title": title, "trials": trials, "paper_value": paper}
    return document, ["2013", figure, name, title, trials, paper or "-"]
