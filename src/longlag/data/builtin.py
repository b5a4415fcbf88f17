"""The built-in data sets: what each is, where it comes from, and what is usually asked of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from longlag.checks import instance_of, shown
from longlag.data import packaged
from longlag.data.grouping import Sequences
from longlag.errors import InputError
from longlag.tables.readers import SUFFIXES, read_table
from longlag.tables.table import Table, did_you_mean
from longlag.tables.table_format import TableFormat

__all__ = ["BuiltIn", "dataset_names", "load_dataset", "open_data"]

_CHORALES = 60  # parsed unless a limit is given: about 7 s; all 364 take about 40 s


@dataclass(frozen=True, eq=False, kw_only=True)
class BuiltIn:
    """A data set and the usual question about it: a table, or sequences, some with a test part of their own.

    Parameters
    ----------
    name, description, source, licence : in words
    task : "forecast" what comes next, or "classify" whole sequences
    table : one series, a row per time; None for sequences
    time, target : columns of ``table``: when, and what to forecast
    season : rows after which the series roughly repeats
    horizon : how many rows ahead one usually forecasts
    train, test : sequences; ``test`` only where the data come with their own
    """

    name: str
    task: Literal["forecast", "classify"]
    description: str
    source: str
    licence: str
    table: Table | None = None
    time: str | None = None
    target: str | None = None
    season: int | None = None
    horizon: int | None = None
    train: Sequences | None = None
    test: Sequences | None = None


def dataset_names() -> tuple[str, ...]:
    """Names of the built-in data sets, as ``load_dataset`` takes them."""
    return tuple(_MAKERS)


def load_dataset(name: str, *, limit: int | None = None) -> BuiltIn:
    """Load the built-in data set called ``name``, in any case of letters. Nothing is downloaded.

    Parameters
    ----------
    name : one of ``dataset_names()``
    limit : for ``bach`` alone, how many of the 364 chorales to parse; None is 60

    Raises
    ------
    InputError
        If no set has this name, its package is not installed, or another set than bach has a limit.
    """
    instance_of("name", name, str, f"one of {', '.join(dataset_names())}")
    known = _known(name)
    if known is None:
        raise InputError(_unknown(name))
    if known == "bach":
        return _bach(_CHORALES if limit is None else limit)
    if limit is not None:
        raise InputError(f"limit={shown(limit)} was given for {known}; expected a limit for 'bach' only")
    return _MAKERS[known]()


def open_data(
    what: str | os.PathLike[str], *, limit: int | None = None, form: TableFormat | None = None
) -> Table | BuiltIn:
    """Open the built-in data set of that name, or else the table in that file, which is written in this form.

    Raises
    ------
    InputError
        If it is neither, naming the built-in sets and the closest match; else as ``load_dataset`` or ``read_table``.
    """
    instance_of("what", what, (str, os.PathLike), "a file, or the name of a built-in data set")
    if isinstance(what, str) and _known(what) is not None:
        if form is not None and form != TableFormat():
            raise InputError(f"the form of a file was given for {what}, which is built in; expected none")
        return load_dataset(what, limit=limit)
    if Path(what).suffix.lower() in SUFFIXES or os.path.exists(what):
        if limit is not None:
            raise InputError(f"limit={shown(limit)} was given for the file {what}; expected a limit for 'bach' only")
        return read_table(what, form=form)
    raise InputError(_unknown(os.fspath(what)))


def _known(name: str) -> str | None:
    return next((known for known in _MAKERS if known.casefold() == name.strip().casefold()), None)


def _unknown(name: str) -> str:
    return (
        f"{name!r} is neither a file nor a built-in data set; expected a file ({', '.join(SUFFIXES)}) "
        f"or one of {', '.join(dataset_names())}" + did_you_mean(name, dataset_names())
    )


def _sunspots() -> BuiltIn:
    return BuiltIn(
        name="sunspots",
        task="forecast",
        description="yearly mean sunspot number, 1700 to 2008; the solar cycle takes about 11 years",
        source="NOAA National Geophysical Data Center, through statsmodels.datasets.sunspots; bundled",
        licence="public domain",
        table=packaged.sunspots(),
        time="year",
        target="sunspots",
        season=11,
        horizon=11,
    )


def _co2() -> BuiltIn:
    return BuiltIn(
        name="co2",
        task="forecast",
        description="carbon dioxide in the air at Mauna Loa in ppm, May 1964 to December 2001: means over "
        "the measured weeks of each month, beginning after the last month without one",
        source="C. D. Keeling and T. P. Whorf 2004, CDIAC, through statsmodels.datasets.co2",
        licence="public domain",
        table=packaged.co2(),
        time="month",
        target="co2",
        season=12,
        horizon=12,
    )


def _elnino() -> BuiltIn:
    return BuiltIn(
        name="elnino",
        task="forecast",
        description="monthly sea surface temperature of the region Nino 1+2 in degrees Celsius, 1950 to 2010",
        source="NOAA National Weather Service, ERSST.V3B, through statsmodels.datasets.elnino",
        licence="public domain",
        table=packaged.elnino(),
        time="month",
        target="temperature",
        season=12,
        horizon=12,
    )


def _japanese_vowels() -> BuiltIn:
    train, test = packaged.japanese_vowels()
    return BuiltIn(
        name="JapaneseVowels",
        task="classify",
        description="which of nine men speaks: 12 cepstrum coefficients in 7 to 29 frames of the vowels /ae/",
        source="M. Kudo, J. Toyama and M. Shimbo 1999, UCI archive, through aeon.datasets",
        licence="none stated in the package that carries it; not redistributed here",
        train=train,
        test=test,
    )


def _bach(limit: int = _CHORALES) -> BuiltIn:
    return BuiltIn(
        name="bach",
        task="forecast",
        description="four-part chorales of J. S. Bach on a grid of sixteenths, as MIDI pitches (0 is a rest)",
        source="the corpus of music21",
        licence="the music is in the public domain; encodings by several hands, some with restrictions "
        "(see music21's corpus/license.txt); not redistributed here",
        train=packaged.bach(limit),
    )


_MAKERS = {
    "sunspots": _sunspots,
    "co2": _co2,
    "elnino": _elnino,
    "JapaneseVowels": _japanese_vowels,
    "bach": _bach,
}
