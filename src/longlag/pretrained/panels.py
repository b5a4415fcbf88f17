"""Zero-shot forecasts of the series of a panel: their seasons, how far forecasts reach, and tables of answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longlag.checks import is_whole, whole_number
from longlag.errors import InputError
from longlag.forecasting.design import season_in
from longlag.panels.calendar import Frequency
from longlag.panels.panel import Panel
from longlag.pretrained.zero_shot import zero_shot

__all__ = ["LONGEST_HORIZON", "PanelForecast", "SeriesSeasons", "forecast_panel", "forecast_series", "seasons_of"]

Array = NDArray[np.float64]
SeriesSeasons = list[tuple[int, int]]
"""(inner, outer) of each series."""

LONGEST_HORIZON = 48
"""Steps that are forecast at most where nobody says how far."""
_HORIZON_WITHOUT_SEASON = 6
_TAUGHT = 52  # the longest season that the network has learned of as the shortest one of a series
_YEAR = 365  # days, of which a series of days may have two
_LOOKED_AT, _VALUES_LOOKED_AT = 25, 5000  # series in which a season is looked for, and values at their ends
_MOST_VALUES = 2**24  # of one forecast: more would not fit into the memory of most machines


@dataclass(frozen=True, eq=False)
class PanelForecast:
    """What comes next in each of N series.

    seasons : (inner, outer) of each, equal where there is one season; 1 for none
    quantiles : (N, H, L)
    """

    seasons: SeriesSeasons
    quantiles: Array

    @property
    def horizon(self) -> int:
        """Steps ahead."""
        steps: int = self.quantiles.shape[1]
        return steps

    @property
    def all_seasons(self) -> list[int]:
        """The seasons of any of the series, shortest first, without 1."""
        return sorted({season for pair in self.seasons for season in pair if season > 1})


def forecast_panel(
    panel: Panel,
    horizon: int | None = None,
    season: int | Sequence[int] | None = None,
    levels: Sequence[float] = (0.05, 0.5, 0.95),
) -> PanelForecast:
    """Quantiles of what comes after the last step of each series of a panel.

    Parameters
    ----------
    horizon : steps ahead; None: a season, 6 where there is none, at most 48
    season : the steps after which the series repeat themselves; None: as their calendar has it, or else one is looked
        for

    Raises
    ------
    InputError
        As ``zero_shot``, or if the horizon or a season is no whole number.
    """
    return forecast_series(panel.values, horizon, season, levels, panel.frequency)


def forecast_series(
    series: Sequence[ArrayLike],
    horizon: int | None = None,
    season: int | Sequence[int] | None = None,
    levels: Sequence[float] = (0.05, 0.5, 0.95),
    frequency: Frequency | None = None,
) -> PanelForecast:
    """As ``forecast_panel``, of arrays (T_i,)."""
    values = [np.asarray(one) for one in series]
    seasons = seasons_of(values, frequency, season)
    if horizon is None:
        horizon = max(outer for _, outer in seasons)
        horizon = _HORIZON_WITHOUT_SEASON if horizon == 1 else min(horizon, LONGEST_HORIZON)
    longest = max(1, _MOST_VALUES // (len(values) * max(1, len(levels))))
    horizon = whole_number("horizon", horizon, 1, longest)
    return PanelForecast(seasons, zero_shot(values, horizon, seasons, levels))


def seasons_of(
    series: Sequence[NDArray[Any]], frequency: Frequency | None, season: int | Sequence[int] | None = None
) -> SeriesSeasons:
    """(inner, outer) of each series: what was named, what the calendar has, or what is found.

    The outer season is the longest that a series holds twice.
    """
    if season is not None:
        candidates = _named(season)
        return [(candidates[0], _longest(candidates, len(one))) for one in series]
    candidates = [] if frequency is None else sorted(frequency.seasons())
    if frequency is not None and (frequency.unit, frequency.step) == ("D", 1):
        candidates.append(_YEAR)
    if not candidates:
        found = season_among(series)
        return [(found, found)] * len(series)
    inner = candidates[0]
    return [
        # A season that the network has not learned of must have been seen once.
        (inner, _longest(candidates, len(one))) if inner <= max(_TAUGHT, len(one)) else (1, 1)
        for one in series
    ]


def season_among(series: Sequence[NDArray[Any]]) -> int:
    """The season that is found in most of the longest series; 1 for none."""
    longest = sorted(range(len(series)), key=lambda number: (-len(series[number]), number))[:_LOOKED_AT]
    found = Counter(season_in(_sized(series[number])) for number in longest)
    return max(found, key=lambda season: (found[season], season))


def _sized(values: NDArray[Any]) -> Array:
    """The end of a series, at most 1 in size: squares of what is larger may be beyond float64."""
    end = np.asarray(values, dtype=np.float64)[-_VALUES_LOOKED_AT:]
    largest = np.abs(end[np.isfinite(end)]).max(initial=0.0)
    return end / largest if largest else end


def _named(season: Any) -> list[int]:
    """Seasons that somebody named, shortest first. InputError if they are none."""
    several = [season] if is_whole(season) else season
    if not isinstance(several, (list, tuple)) or not 1 <= len(several) <= 2:
        raise InputError(f"season is {season!r}; expected a whole number, or two: the shorter one and the longer one")
    return sorted(whole_number("season", one, 1) for one in several)


def _longest(candidates: Sequence[int], steps: int) -> int:
    """The longest season that so many steps hold twice, or the shortest one."""
    return max((season for season in candidates if 2 * season <= steps), default=candidates[0])
