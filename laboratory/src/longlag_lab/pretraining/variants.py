"""The variants of the study: other sizes, other cells, ingredients left out one by one, other schedules."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from longlag.errors import InputError
from longlag.synthetic.prior import Prior
from longlag_lab.pretraining.settings import CELLS, PretrainingSettings

__all__ = ["TABLES", "UPDATES", "Variant", "variants"]

UPDATES = 1_500
"""Of a variant whose schedule is not what is studied: five to ten minutes, enough to rank."""
SIZES = (32, 48, 64, 96, 128, 176)
"""Memory cells of each layer: 35,000 to 460,000 weights."""
SCHEDULES = (500, 1_500, 3_000, 6_000)

TABLES = {
    "sizes": "other sizes",
    "cells": "other cells",
    "ingredients": "the prior without an ingredient",
    "schedules": "longer and shorter schedules",
}
"""The tables of the study, and their titles."""


@dataclass(frozen=True)
class Variant:
    """A row of a table of the study; ``settings`` has the seed 0, which each trial replaces by its number."""

    table: str
    name: str
    settings: PretrainingSettings


def variants(tables: tuple[str, ...] = (), updates: int = UPDATES) -> list[Variant]:
    """Return the rows of some tables, or of all. InputError for a table that is not known.

    What stands in several tables, such as the usual network, has equal settings in all of them, and is run once.
    """
    for name in tables:
        if name not in TABLES:
            raise InputError(f"the study has no table {name!r}; expected some of {', '.join(TABLES)}")
    usual = PretrainingSettings(updates=updates)
    rows = [Variant("sizes", f"{size} cells", dataclasses.replace(usual, hidden_size=size)) for size in SIZES]
    rows += [Variant("cells", name, dataclasses.replace(usual, cell=name)) for name in CELLS]
    rows += [Variant("cells", "learned sharpness", dataclasses.replace(usual, learn_sharpness=True))]
    rows += [Variant("ingredients", "nothing left out", usual)]
    rows += [
        Variant("ingredients", field.name, dataclasses.replace(usual, without=(field.name,)))
        for field in dataclasses.fields(Prior)
    ]
    rows += [
        Variant("schedules", f"{count:,} updates", dataclasses.replace(usual, updates=count)) for count in SCHEDULES
    ]
    return [row for row in rows if not tables or row.table in tables]
