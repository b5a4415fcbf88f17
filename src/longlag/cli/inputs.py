"""What a command asks of its data: a series to forecast, sequences to learn from, or sequences to answer for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np

from longlag.checks import LARGEST
from longlag.data import BuiltIn, Panel, Sequences, Table, TableFormat, rows_as_sequences, sequences_by
from longlag.errors import InputError
from longlag.panels.rows import Duplicates, Gaps
from longlag.panels.time_columns import column_parts

__all__ = [
    "Labelled",
    "Request",
    "Task",
    "labelled_sequences",
    "one_of_options",
    "panel_in",
    "refuse_other_options",
    "task_of",
    "unlabelled_sequences",
]

Task = Literal["forecast", "classify", "regress"]

_FORECASTING = ("horizon", "season", "lags", "id", "inputs", "known", "static", "calendar", "networks", "refit")
"""Options that belong to forecasting alone."""

_ROWS = ("time", "duplicates", "gaps")
"""Options for the rows of a series, or of a sequence that has several."""

_WEIGHTS = ("class_weight", "sample_weight")
"""Options for what a sequence counts."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What ``longlag fit`` is asked to predict from which data: its options of these names, None where not given.

    ``target`` are several columns for a series each. ``form`` is how the file is written, as far as options say it.
    """

    data: str
    target: str | tuple[str, ...] | None = None
    label: str | None = None
    sequence: str | None = None
    time: str | None = None
    horizon: int | None = None
    season: int | None = None
    lags: int | None = None
    test: float | None = None
    id: str | None = None
    inputs: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    calendar: bool | str = False
    duplicates: Duplicates | None = None
    gaps: Gaps | None = None
    networks: int | None = None
    class_weight: Literal["balanced"] | None = None
    sample_weight: str | None = None
    refit: bool = True
    form: TableFormat = field(default_factory=TableFormat)


@dataclass(frozen=True, eq=False)
class Labelled:
    """Sequences with a label each; ``test`` where the data come with a test part of their own."""

    train: Sequences
    test: Sequences | None


def task_of(data: Table | BuiltIn, request: Request) -> Task:
    """The task that the options name.

    Raises
    ------
    InputError
        If the options contradict each other or the data.
    """
    target, label, sequence = request.target, request.label, request.sequence
    if target is not None and label is not None:
        raise InputError("--target and --label were both given; expected one: a column to forecast, or a class")
    if isinstance(target, tuple) and sequence is not None:
        raise InputError(f"--target was given {len(target)} times with --sequence; expected it once")
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
    if target is None and sequence is not None:
        raise InputError("--sequence was given without --target or --label; expected one: a number or class for each")
    return "forecast" if sequence is None else "regress"


Word = TypeVar("Word", bound=str)


def one_of_options(option: str, value: str | None, words: Sequence[Word]) -> Word | None:
    """The value of an option that is one of these words, or was not given. InputError if it is another word."""
    if value is None:
        return None
    for word in words:
        if value == word:
            return word
    raise InputError(f"{option} is {value!r}; expected {' or '.join(words)}")


def panel_in(data: Table | BuiltIn, request: Request) -> Panel:
    """The series to forecast.

    Raises
    ------
    InputError
        If the data have no such columns, or it is not plain which they are, or a cell cannot be used.
    """
    target, time = request.target, request.time
    if isinstance(data, BuiltIn):
        if data.table is None or data.target is None:
            raise InputError(f"{data.name} has sequences and no columns; expected a table with column {target!r}")
        target, table = target or data.target, data.table
        time = time or (data.time if data.time not in ((target,) if isinstance(target, str) else target) else None)
    else:
        table = data
    if isinstance(target, str) and target not in table.names:
        several = [part.strip() for part in target.split(",")]
        if len(several) > 1 and all(part in table.names for part in several):
            again = " ".join(f"--target {part}" for part in several)
            raise InputError(f"--target is {target!r}, which is no column; expected {again} for a series each")
    panel = Panel.from_table(
        table,
        target=target,
        time=time,
        id=request.id,
        known=request.known,
        past=request.inputs,
        static=request.static,
        duplicates=request.duplicates or "refuse",
        gaps=request.gaps or "auto",
    )
    for option, value in (("duplicates", request.duplicates), ("gaps", request.gaps)):
        if value is not None and panel.roles.time is None:
            raise InputError(f"--{option} is {value}, but no column is taken for the time; expected --time too")
    return panel


def refuse_other_options(request: Request, task: Task) -> None:
    """Refuse options that have no meaning for the task. InputError names the first."""
    usual = Request(data=request.data)
    others = {
        "forecast": dict.fromkeys(
            _WEIGHTS, "belongs to sequences; expected it with --label, or --target and --sequence"
        ),
        "classify": dict.fromkeys(_FORECASTING, "belongs to forecasting; expected it with --target alone"),
    }
    others["regress"] = others["classify"] | {"class_weight": "belongs to classes; expected it with --label"}
    wrong = dict(others[task])
    if task != "forecast" and request.sequence is None:
        wrong |= dict.fromkeys(_ROWS, "belongs to forecasting, or to --sequence; expected it with one of them")
    elif task != "forecast" and request.time is None:
        wrong |= dict.fromkeys(_ROWS[1:], "needs the times of the rows; expected --time too")
    for option, reason in wrong.items():
        if getattr(request, option) != getattr(usual, option):
            raise InputError(f"--{'no-refit' if option == 'refit' else option.replace('_', '-')} {reason}")


def labelled_sequences(data: Table | BuiltIn, request: Request, task: Task) -> Labelled:
    """Sequences and their labels: rows that share ``sequence``, or without it each row as one sequence of numbers.

    Labels are whole numbers or text for the task "classify", else real numbers.

    Raises
    ------
    InputError
        If a column is missing or a cell unusable, named by line and column.
    """
    if isinstance(data, BuiltIn):
        if data.table is None:
            assert data.train is not None
            if request.sample_weight is not None:
                raise InputError(f"--sample-weight was given for {data.name}, which has no columns; expected none")
            return Labelled(data.train, data.test)
        data = data.table
    label = request.label if task == "classify" else request.target
    assert isinstance(label, str)  # task_of has refused several
    numbers = None if task == "classify" else data.number(label, largest=LARGEST)
    sequences = _sequences(data, label, request)
    labels = sequences.labels
    assert labels is not None
    if numbers is not None:
        return Labelled(replace(sequences, labels=labels.astype(np.float64)), None)
    if labels.dtype.kind == "f":
        broken = labels[labels % 1 != 0]
        if len(broken):
            raise InputError(
                f"{data.source}, column {label!r} holds {broken[0]}; expected classes (text or whole numbers), or "
                "--target with --sequence to predict a number"
            )
        sequences = replace(sequences, labels=labels.astype(np.int64))
    return Labelled(sequences, None)


def unlabelled_sequences(data: Table | BuiltIn, run: Mapping[str, Any]) -> Sequences:
    """Sequences to predict for, of the columns that a run was fitted on; of built-in sequences, their test part."""
    if isinstance(data, BuiltIn):
        if data.table is None:
            sequences = data.test if data.test is not None else data.train
            assert sequences is not None
            return sequences
        data = data.table
    if run["sequence"] is None:
        return rows_as_sequences(data, run["features"])
    return sequences_by(
        data,
        run["sequence"],
        run["features"],
        time_column=run.get("time"),
        duplicates=run.get("duplicates") or "refuse",
        gaps=run.get("gaps") or "auto",
    )


def _sequences(table: Table, label: str, request: Request) -> Sequences:
    others = [label, request.sample_weight]
    for column in (request.sequence, request.time):  # which may be several, as date+hour
        others += [] if column is None else column_parts(table, column)
    for name in others:
        if name is not None:
            table.kind(name)  # refuses what is no column, before the others are read as numbers
    features = [name for name in table.names if name not in others]
    try:
        table.numbers(features)
    except InputError as error:
        raise InputError(f"{error}; every column but the answer's and --sequence is read as numbers") from error
    if request.sequence is None:
        return rows_as_sequences(table, features, label_column=label, weight_column=request.sample_weight)
    if request.gaps == "mask":
        raise InputError("--gaps is mask, but a sequence has no missing values; expected fill, refuse or ignore")
    return sequences_by(
        table,
        request.sequence,
        features,
        label_column=label,
        weight_column=request.sample_weight,
        time_column=request.time,
        duplicates=request.duplicates or "refuse",
        gaps=request.gaps or "auto",
    )
