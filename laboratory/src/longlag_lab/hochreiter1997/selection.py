"""Which rows and variants of the 1997 paper a request means, and how they are listed."""

from __future__ import annotations

from typing import Any, get_args

from longlag.errors import InputError
from longlag_lab.harness.request import Request, Selection
from longlag_lab.hochreiter1997.jobs import Job, VariantName
from longlag_lab.hochreiter1997.paper import LIMITS_TABLE, Row, chosen
from longlag_lab.hochreiter1997.report import FOLDER
from longlag_lab.hochreiter1997.variants import VARIANTS

__all__ = ["LIST_COLUMNS", "NAMES", "select"]

NAMES = (*(f"table{number}" for number in range(1, 10)), "limits", "1997")
LIST_COLUMNS = ("paper", "table", "row", "learner", "what", "weights", "after", "solved")

_VARIANT_NAMES: tuple[VariantName, ...] = get_args(VariantName)
_TABLES = {f"table{number}": [number] for number in range(1, 10)} | {
    "1997": [*range(1, 10)],
    "limits": [LIMITS_TABLE],
}


def select(request: Request) -> Selection[Job]:
    """Return what a request means, in the order of the paper.

    Raises InputError for a name, row or variant that does not exist, or if no job is left.
    """
    expected = f"expected {', '.join(NAMES)} (longlag reproduce --list)"
    for name in request.names:
        if name not in NAMES:
            raise InputError(f"{name!r} cannot be reproduced; {expected}")
    if not request.names:
        raise InputError(f"nothing to reproduce; {expected}")
    if request.variant is not None and request.variant not in _VARIANT_NAMES:
        raise InputError(f"--reading is {request.variant!r}; expected {', '.join(_VARIANT_NAMES)}")
    row_names = request.row_names("1-1,2a,6b")
    tables = dict.fromkeys(table for name in request.names for table in _TABLES[name])
    jobs: list[Job] = []
    left_out = []
    for row in chosen(list(tables), row_names):
        variants = [name for name in _VARIANT_NAMES if name == "literal" or row.name in VARIANTS[name]]
        wanted = [name for name in variants if request.variant in (None, name)]
        jobs += [
            Job(row, variant, request.trials or row.trials, request.cap or row.cap, request.seed) for variant in wanted
        ]
        if not wanted:
            left_out.append(row.name)
    if not jobs:
        raise InputError(
            f"no row asked for has the reading {request.variant!r}; expected --reading literal, or other rows"
        )
    rows = dict.fromkeys(job.row for job in jobs)
    return Selection(jobs=jobs, listing=[(_document(row), _cells(row)) for row in rows], left_out=left_out)


def _document(row: Row) -> dict[str, Any]:
    """Return a row in the list of what can be reproduced, as JSON."""
    return {
        "paper": FOLDER,
        "table": row.table,
        "row": row.name,
        "learner": row.learner,
        "title": row.title,
        "weights": row.weights,
        "trials": row.trials,
        "paper_value": row.after,
        "paper_solved": row.solved,
        "cap": row.cap,
    }


def _cells(row: Row) -> list[Any]:
    """Return a row in that list, for people, under ``LIST_COLUMNS``."""
    solved = "some" if row.solved is None else f"{row.solved:.0%}"
    after = "-" if row.after is None else f"{row.after:,}"
    return ["1997", row.table, row.name, row.learner, row.title, row.weights, after, solved]
