"""What the command line asks of the data: forecast a series, classify sequences, or predict a number for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from longlag.cli.times import times_of
from longlag.data import BuiltIn, Sequences, Table, sequences_by
from longlag.errors import InputError

__all__ = ["Labelled", "Series", "labelled_sequences", "series_of", "task_of", "unlabelled_sequences"]

Task = Literal["forecast", "classify", "regress"]

_LARGEST = 1e150  # squares of errors must fit into a float64


@dataclass(frozen=True, eq=False)
class Series:
    """A series to forecast. times (T,) numbers or dates, or None; season, horizon: suggested with built-in data."""

    values: NDArray[np.float64]
    name: str
    times: NDArray[Any] | None
    time_name: str
    season: int | None
    horizon: int | None


@dataclass(frozen=True, eq=False)
class Labelled:
    """Sequences with a label each; ``test`` where the data come with a test part of their own."""

    train: Sequences
    test: Sequences | None


def task_of(data: Table | BuiltIn, target: str | None, label: str | None, sequence: str | None) -> Task:
    """What is asked for; refuses what contradicts itself or the data."""
    if target is not None and label is not None:
        raise InputError("--target and --label were both given; expected one: a column to forecast, or a class")
    if isinstance(data, BuiltIn) and data.table is None:
        for option, value in (("--target", target), ("--label", label), ("--sequence", sequence)):
            if value is not None:
                raise InputError(f"{option} was given for {data.name}, whose sequences have no columns; expected none")
        if data.task != "classify":
            raise InputError(
                f"{data.name} has sequences without labels; expected data to classify or a table with a series"
            )
        return "classify"
    if label is not None:
        return "classify"
    if target is None and not isinstance(data, BuiltIn):
        names = ", ".join(data.names)
        raise InputError(f"no --target and no --label; expected one of the columns of {data.source}: {names}")
    if target is None and sequence is not None:
        raise InputError("--sequence was given without --target or --label; expected one: a number or class for each")
    return "forecast" if sequence is None else "regress"


def series_of(data: Table | BuiltIn, target: str | None, time: str | None) -> Series:
    """The series in column ``target``, its times if a column holds them."""
    season = horizon = None
    if isinstance(data, BuiltIn):
        if data.table is None or data.target is None:
            raise InputError(f"{data.name} has sequences and no columns; expected a table with column {target!r}")
        if target in (None, data.target):
            season, horizon = data.season, data.horizon
        target, time, table = target or data.target, time or data.time, data.table
    else:
        table = data
    assert target is not None
    times = None if time is None else times_of(table, time)
    return Series(_moderate(table, target), target, times, time or "row", season, horizon)


def _moderate(table: Table, name: str) -> NDArray[np.float64]:
    values = table.number(name)
    large = np.flatnonzero(np.abs(values) > _LARGEST)
    if len(large):
        row = int(large[0])
        raise InputError(f"{table.where(row, name)}: {values[row]} is too large; expected at most {_LARGEST:g} in size")
    return values


def labelled_sequences(data: Table | BuiltIn, label: str | None, sequence: str | None, *, classify: bool) -> Labelled:
    """Sequences and their labels: rows that share ``sequence``, or without it each row as one sequence of numbers.

    Labels are whole numbers or text to ``classify``, else real numbers.
    """
    if isinstance(data, BuiltIn):
        if data.table is None:
            assert data.train is not None
            return Labelled(data.train, data.test)
        data = data.table
    assert label is not None
    if not classify:
        _moderate(data, label)
    found = _sequences(data, label, sequence)
    assert found.labels is not None
    if not classify:
        return Labelled(replace(found, labels=found.labels.astype(np.float64)), None)
    if found.labels.dtype.kind == "f":
        broken = found.labels[found.labels % 1 != 0]
        if len(broken):
            raise InputError(
                f"{data.source}, column {label!r} holds {broken[0]}; expected classes (text or whole numbers), or "
                "--target with --sequence to predict a number"
            )
        found = replace(found, labels=found.labels.astype(np.int64))
    return Labelled(found, None)


def unlabelled_sequences(data: Table | BuiltIn, features: list[str], sequence: str | None) -> Sequences:
    """Sequences to predict for: the columns the model was fitted on."""
    if isinstance(data, BuiltIn):
        if data.table is None:
            found = data.test if data.test is not None else data.train
            assert found is not None
            return found
        data = data.table
    if sequence is not None:
        return sequences_by(data, sequence, features)
    return _rows_as_sequences(data, features)


def _sequences(table: Table, label: str, sequence: str | None) -> Sequences:
    features = [name for name in table.names if name not in (label, sequence)]
    try:
        table.numbers(features)
    except InputError as error:
        raise InputError(f"{error}; every column but the answer's and --sequence is read as numbers") from error
    if sequence is not None:
        return sequences_by(table, sequence, features, label_column=label)
    found = _rows_as_sequences(table, features)
    labels = table.number(label) if table.kind(label) == "number" else table.text(label)
    return Sequences(found.arrays, found.ids, found.features, labels)


def _rows_as_sequences(table: Table, features: list[str]) -> Sequences:
    values = table.numbers(features)
    ids = tuple(str(line) for line in table.lines.tolist())
    return Sequences([row[:, None] for row in values], ids, tuple(features))
