"""Data that other packages carry, read offline and put in this package's shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.checks import whole_number
from longlag.data.grouping import Sequences
from longlag.errors import InputError
from longlag.tables.delimited import read_csv
from longlag.tables.packages import require
from longlag.tables.table import Table

__all__ = ["bach", "co2", "elnino", "japanese_vowels", "sunspots"]


def sunspots() -> Table:
    """309 years: columns year, sunspots. Bundled: copied from statsmodels' sunspots data."""
    return read_csv(Path(__file__).with_name("sunspots.csv"))


def co2() -> Table:
    """452 months: columns month, co2 (ppm), weeks (how many measured weeks the mean is taken over).

    The weekly record misses 59 of 2284 weeks, and whole months before May 1964. A month's value is the mean
    of its measured weeks; the series begins after the last month that has none. Nothing is filled in.
    """
    weekly = _statsmodels("co2")
    months = weekly.index.to_numpy().astype("datetime64[M]")
    values = weekly["co2"].to_numpy()
    measured = np.isfinite(values)
    calendar = np.arange(months[0], months[-1] + 1)
    place = (months - months[0]).astype(np.int64)
    weeks = np.bincount(place[measured], minlength=len(calendar))
    sums = np.bincount(place[measured], weights=values[measured], minlength=len(calendar))
    first = int(np.flatnonzero(weeks == 0)[-1]) + 1 if (weeks == 0).any() else 0
    whole = slice(first, None)  # the months after the last that has no measured week
    return Table.from_arrays(
        {"month": calendar[whole], "co2": sums[whole] / weeks[whole], "weeks": weeks[whole]}, "co2 (statsmodels)"
    )


def elnino() -> Table:
    """732 months, January 1950 to December 2010: columns month, temperature (of the sea, in Celsius)."""
    years = _statsmodels("elnino")
    first = np.datetime64(str(int(years["YEAR"].iloc[0])), "M")
    values = years.drop(columns="YEAR").to_numpy().reshape(-1)
    return Table.from_arrays({"month": first + np.arange(len(values)), "temperature": values}, "elnino (statsmodels)")


def japanese_vowels() -> tuple[Sequences, Sequences]:
    """The original 270 training, 370 test utterances, each (7 to 29, 12); labels are speakers, "1" to "9"."""
    datasets = require("aeon.datasets", "load JapaneseVowels")
    train, test = (_utterances(datasets, split) for split in ("train", "test"))
    return train, test


def _utterances(datasets: Any, split: str) -> Sequences:
    channels_first, speakers = datasets.load_japanese_vowels(split=split)
    arrays = [np.array(utterance.T, dtype=np.float64, order="C") for utterance in channels_first]
    return Sequences(
        arrays,
        tuple(f"{split} {number}" for number in range(1, len(arrays) + 1)),
        tuple(f"coefficient {number}" for number in range(1, 13)),
        np.array([str(speaker) for speaker in speakers], dtype=object),
    )


def bach(limit: int) -> Sequences:
    """At most ``limit`` four-part chorales, by file name, each (sixteenths, 4): soprano, alto, tenor, bass.

    A value is the MIDI pitch that sounds in that sixteenth, 0 in a rest. Times off the grid (5 of some 85000
    notes) are rounded down, grace notes left out; a note held and one struck again look the same. Parsing
    takes about 0.1 s a piece. music21's cache of pickles in the temporary directory is neither read nor
    written.
    """
    whole_number("limit", limit, 1)
    corpus = require("music21.corpus", "load bach")
    converter = require("music21.converter", "load bach")
    paths = sorted(path for path in map(Path, corpus.getComposer("bach")) if path.suffix == ".mxl")
    if not paths:
        raise InputError("music21 was installed without its corpus; expected the Bach chorales in it")
    arrays, ids = [], []
    for path in paths:
        score = converter.parseFile(path, forceSource=True, storePickle=False)
        if len(score.parts) == 4:
            arrays.append(_grid(score))
            ids.append(path.stem)
        if len(arrays) == limit:
            break
    return Sequences(arrays, tuple(ids), ("soprano", "alto", "tenor", "bass"))


def _grid(score: Any) -> NDArray[np.float64]:
    grid = np.zeros((int(score.highestTime * 4), 4))
    for number, part in enumerate(score.parts):
        for note in part.flatten().notes:
            grid[int(note.offset * 4) : int((note.offset + note.quarterLength) * 4), number] = note.pitches[-1].midi
    return grid


def _statsmodels(name: str) -> Any:
    return require(f"statsmodels.datasets.{name}", f"load {name}").load_pandas().data
