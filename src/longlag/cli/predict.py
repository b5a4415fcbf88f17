"""longlag predict, forecast and backtest: answers of a model that longlag fit trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from longlag.cli import run_directory
from longlag.cli.ahead import Rows, draw_ahead, rows_ahead
from longlag.cli.inputs import unlabelled_sequences
from longlag.data import BuiltIn, Panel, Table, TableFormat, open_data
from longlag.errors import InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor
from longlag.estimators.panels import unread
from longlag.estimators.scores import score_forecasts
from longlag.panels.time_columns import parts_of_times
from longlag.panels.times import written_times

__all__ = ["backtest", "forecast", "predict"]

Notes = dict[str, tuple[str, ...]]
"""What was found out about each file by itself, in sentences."""


def predict(run: Path, data: str, form: TableFormat, stride: int | None = None) -> tuple[Rows, Notes]:
    """Answer for data that are written in this form, and say what was found out about the file by itself.

    The answers are columns and rows: one for each sequence, or for every ``stride``-th row of a series from the rows
    before it; None is 1. Each costs fits of the simple methods that the answer is made of.
    """
    model, request = run_directory.load_run(run)
    content = open_data(data, form=form)
    if isinstance(model, LSTMForecaster):
        panel = _panel(content, model)
        return _one_step(model, panel, stride or 1), {data: panel.notes}
    if stride is not None:
        raise InputError(f"--stride is {stride}, but {run} answers for whole sequences; expected it with a forecaster")
    return _answers(model, request, content), {data: content.notes} if isinstance(content, Table) else {}


def _answers(model: LSTMClassifier | LSTMRegressor, request: dict[str, Any], content: Table | BuiltIn) -> Rows:
    sequences = unlabelled_sequences(content, request)
    answers = model.predict(sequences.arrays)
    if isinstance(model, LSTMClassifier):
        probabilities = model.predict_proba(sequences.arrays).max(axis=1)
        return ["sequence", "predicted", "probability"], [
            [name, _plain(answer), float(probability)]
            for name, answer, probability in zip(sequences.ids, answers, probabilities, strict=True)
        ]
    return ["sequence", "predicted"], [
        [name, _plain(answer)] for name, answer in zip(sequences.ids, answers, strict=True)
    ]


def forecast(
    run: Path,
    steps: int | None,
    coverage: float,
    *,
    data: str | None = None,
    future: str | None = None,
    form: TableFormat | None = None,
    figure: Path | None = None,
) -> tuple[Rows, Notes]:
    """Columns and rows: series, time, median and interval of the next ``steps`` values after all that is known.

    The notes are those on the files of ``data`` and ``future``.

    Parameters
    ----------
    steps : None for as many as were learned
    data : a file with rows after those of the run; its model reads them first, and learns nothing
    future : a file with the columns that are known of the next steps
    figure : where a picture goes
    """
    model, request = run_directory.load_run(run)
    if not isinstance(model, LSTMForecaster):
        raise InputError(f"{run} holds a model that does not forecast ({request['task']}); expected longlag predict")
    notes: Notes = {}
    if data is not None:
        panel = _panel(open_data(data, form=form), model)
        notes[data] = panel.notes
        model.update(_new_rows(panel, model, data))
    known = None
    if future is None and model.continuation_ is not None and model.continuation_.roles.known:
        columns_known = ", ".join(model.continuation_.roles.known)
        raise InputError(
            f"{run} was fitted with known columns; expected the columns {columns_known} of the next "
            f"{model.horizon_ if steps is None else steps} steps: give --future and a file with them"
        )
    if future is not None:
        known = _future(future, model, form)
        notes[future] = known.notes
    columns = model.predict_interval(steps, coverage, known)  # a file is no frame, so these are plain columns
    before = model.continuation_
    assert before is not None
    series = [model.series(number) for number in range(len(before.ids))]
    if figure is not None:
        bands = [np.reshape(columns[name], (len(series), -1)) for name in ("lower", model.answer_name_, "upper")]
        draw_ahead(figure, before, series, model.seasons_, np.stack(bands, axis=-1), coverage)
    return rows_ahead(before, [len(values) for values in series], columns), notes


def backtest(
    run: Path, data: str, horizon: int | None, stride: int | None, coverage: float, form: TableFormat | None = None
) -> tuple[dict[str, Any], Notes]:
    """Scores of the run's model on rows that follow those it has seen, from rolling origins; nothing is learned.

    The rows of the run come first: ``data`` are what comes after them, or the whole series again.
    """
    model, request = run_directory.load_run(run)
    if not isinstance(model, LSTMForecaster):
        raise InputError(
            f"{run} holds a model that does not forecast ({request['task']}); expected one that longlag fit made of "
            "series"
        )
    panel = _panel(open_data(data, form=form), model)
    assert model.continuation_ is not None
    horizon = model.horizon_ if horizon is None else horizon
    before = [model.series(number) for number in range(model.n_series_)]
    rest, missing = unread(panel, model.continuation_, before)
    if max(len(values) + gap for values, gap in zip(rest.values, missing, strict=True)) < horizon:
        raise InputError(f"{data} has no {horizon} rows after those of {run}; expected more, or a smaller --horizon")
    methods = [name for name in ("last value", "seasonal naive") if name == "last value" or max(model.seasons_) > 1]
    methods = ["LSTM", *dict.fromkeys([*methods, *(name for name in model.weights_ if name != "LSTM")])]
    result = model.backtest(panel, horizon, stride=stride or 1, coverage=coverage, methods=methods)
    return score_forecasts(result, before, list(map(len, before)), model.seasons_), {data: panel.notes}


def _future(future: str, model: LSTMForecaster, form: TableFormat | None) -> Table:
    """A table with what is known of the next steps."""
    assert model.continuation_ is not None
    known = model.continuation_.roles.known
    if not known:
        raise InputError(f"--future is {future}, but the run knows no column in the future; expected none")
    return _table(open_data(future, form=form), known[0])


def _panel(content: Table | BuiltIn, model: LSTMForecaster) -> Panel:
    """The series of a table with the columns of the model's own."""
    continuation = model.continuation_
    if continuation is None:
        raise InputError("the model was fitted to arrays; expected one that longlag fit has made")
    roles = continuation.roles
    return Panel.from_table(
        _table(content, roles.target[0]),
        target=list(roles.target),
        time=roles.time,
        id=roles.id,
        known=roles.known,
        past=roles.past,
        static=roles.static,
        frequency=continuation.frequency if roles.time is not None else None,
        categories=continuation.categories,
    )


def _table(content: Table | BuiltIn, column: str) -> Table:
    """The table of data, which must have this column."""
    if isinstance(content, BuiltIn):
        if content.table is None:
            raise InputError(f"{content.name} has sequences and no columns; expected a table with column {column!r}")
        return content.table
    return content


def _new_rows(panel: Panel, model: LSTMForecaster, data: str) -> Panel:
    """The rows of a panel after those that the model has read."""
    before = model.continuation_
    assert before is not None
    if panel.ids != before.ids:
        raise InputError(f"{data} has the series {', '.join(panel.ids[:5])}; expected {', '.join(before.ids[:5])}")
    rest, _ = unread(panel, before, [model.series(number) for number in range(model.n_series_)])
    if not any(map(len, rest.values)):
        last = "" if before.roles.time is None else f" {before.last.max()},"
        raise InputError(f"{data} has no rows after{last} the last of the run; expected some")
    return rest


def _one_step(model: LSTMForecaster, panel: Panel, stride: int) -> Rows:
    """Answer with a row for every ``stride``-th value of each series, from the second on."""
    backtest = model.backtest(panel, 1, start=1, stride=stride)
    assert backtest.series is not None
    several = len(panel) > 1
    dated = panel.roles.time is not None
    target = panel.roles.target[0] if len(panel.roles.target) == 1 else "value"
    name_of_time = panel.roles.time or "row"
    parts = [parts_of_times(one, name_of_time) for one in panel.times]
    columns = [*([panel.roles.id or "series"] if several else []), *(parts[0] or [name_of_time]), target, "predicted"]
    times: list[list[tuple[Any, ...]]] = [
        list(zip(*cells.values(), strict=True))
        if cells
        else [(cell,) for cell in written_times(one, panel.frequency, panel.time_form)]
        if dated
        else [(number,) for number in range(1, len(one) + 1)]
        for one, cells in zip(panel.times, parts, strict=True)
    ]
    rows = []
    for number, origin, truth, median in zip(
        backtest.series.tolist(),
        backtest.origins.tolist(),
        backtest.truth[:, 0, 0].tolist(),
        backtest.mean[:, 0, 0].tolist(),
        strict=True,
    ):
        name = [panel.ids[number]] if several else []
        rows.append([*name, *times[number][origin], None if np.isnan(truth) else truth, median])
    return columns, rows


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
