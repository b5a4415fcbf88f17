"""The commands that use a finished run: ``longlag predict``, ``forecast``, ``backtest`` and ``info``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from longlag.cli import output
from longlag.cli.early import refuse_what_is_missing
from longlag.cli.scores import forecasts_made, print_score
from longlag.cli.table_options import DateFormat, Decimal, Encoding, Missing, Separator, table_format
from longlag.loading import collector_paused

__all__ = ["backtest", "forecast", "info", "predict"]


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory that longlag fit wrote.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="File or built-in data set with the same columns.")],
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="Rows from one answer of a forecaster to the next; many rows take long. [default: 1]"),
    ] = None,
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    date_format: DateFormat = None,
    missing: Missing = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to FILE. [default: print]")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of CSV.")] = False,
) -> None:
    """Answers of a trained model for new data, as CSV.

    A classifier or regressor answers for each sequence; a forecaster for each row, or each --stride-th, from the
    rows before it.
    """
    refuse_what_is_missing(run, data)
    with collector_paused():
        from longlag.cli.predict import predict as answers

    rows, notes = answers(run, data, table_format(sep, decimal, encoding, date_format, missing), stride)
    _print_notes(notes)
    _write_rows(rows, out, json)


def forecast(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory that longlag fit wrote.")],
    steps: Annotated[
        int | None, typer.Option(min=1, help="How many values to forecast. [default: the horizon of the run]")
    ] = None,
    coverage: Annotated[float, typer.Option(help="Probability that a value lies in its interval.")] = 0.9,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="Rows that came after those of the run: go on from them.")
    ] = None,
    future: Annotated[
        str | None, typer.Option(metavar="DATA", help="Rows of the next steps, with the columns that are known.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a picture (PNG) too.")] = None,
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    date_format: DateFormat = None,
    missing: Missing = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to FILE. [default: print]")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of CSV.")] = False,
) -> None:
    """The next values after the run's data, with intervals, as CSV."""
    refuse_what_is_missing(run, data, future)
    with collector_paused():
        from longlag.cli.predict import forecast as answers

    form = table_format(sep, decimal, encoding, date_format, missing)
    rows, notes = answers(run, steps, coverage, data=data, future=future, form=form, figure=figure)
    _print_notes(notes)
    _write_rows(rows, out, json)


def backtest(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory that longlag fit wrote.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Rows that came after those of the run.")],
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Rows ahead to score. [default: the horizon of the run]")
    ] = None,
    stride: Annotated[int, typer.Option(min=1, help="Rows from one origin to the next.")] = 1,
    coverage: Annotated[float, typer.Option(help="Probability that a value lies in its interval.")] = 0.9,
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    date_format: DateFormat = None,
    missing: Missing = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Score a run's forecasts from rolling origins on rows that it has not seen, beside simple methods."""
    refuse_what_is_missing(run, data)
    with collector_paused():
        from longlag.cli.predict import backtest as scores

    form = table_format(sep, decimal, encoding, date_format, missing)
    score, notes = scores(run, data, horizon, stride, coverage, form)
    _print_notes(notes)
    if json:
        output.write(output.json_line(score))
    else:
        output.print_line(forecasts_made(score))
        print_score(score)


def info(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Directory that longlag fit wrote.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> None:
    """What is installed and which engines can run here; with RUN, what that run is and how it did."""
    with collector_paused():
        from longlag.cli.info import about_installation, about_run

    document = about_installation() if run is None else about_run(run)
    if json:
        output.write(output.json_line(document))
        return
    score = document.pop("score", None)
    for name, value in document.items():
        output.print_line(
            f"{name.replace('_', ' '):22s} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        )
    if score is not None:
        print_score(score)


def _print_notes(notes: Mapping[str, Sequence[str]]) -> None:
    """Say what was found out about each file by itself, where answers on standard output are left alone."""
    for data, sentences in notes.items():
        if sentences:
            output.print_error(output.as_read(data, sentences))


def _write_rows(answers: tuple[list[str], list[list[Any]]], out: Path | None, json: bool) -> None:
    columns, rows = answers
    output.write(output.json_line({"columns": columns, "rows": rows}) if json else output.csv_lines(columns, rows), out)
