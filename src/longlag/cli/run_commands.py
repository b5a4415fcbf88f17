"""The commands that answer: ``longlag predict``, ``forecast``, ``backtest`` and ``info``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from longlag.cli import output
from longlag.cli.early import is_table_or_set, refuse_what_is_missing
from longlag.cli.scores import about_forecast, forecasts_made, print_score
from longlag.cli.table_options import (
    DateFormat,
    Decimal,
    Duplicates,
    Encoding,
    Gaps,
    Id,
    Missing,
    Separator,
    Target,
    Time,
    table_format,
)
from longlag.errors import InputError
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

    form = table_format(sep, decimal, encoding, date_format, missing)
    (names, rows), notes = answers(run, data, form, stride)
    _print_notes(notes)
    _write_rows({"columns": names, "rows": rows}, out, json)


def forecast(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|DATA",
            help="Directory that longlag fit wrote; or a file or built-in data set, as fit has them.",
        ),
    ],
    horizon: Annotated[
        int | None,
        typer.Option("--horizon", "--steps", min=1, help="How many values to forecast. [default: a season; the run's]"),
    ] = None,
    coverage: Annotated[float, typer.Option(help="Probability that a value lies in its interval.")] = 0.9,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="RUN: rows that came after those of the run: go on from them.")
    ] = None,
    future: Annotated[
        str | None, typer.Option(metavar="DATA", help="RUN: rows of the next steps, with the columns that are known.")
    ] = None,
    target: Target = None,
    time: Time = None,
    id: Id = None,
    season: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="DATA: rows after which it repeats. Twice: --season 24 --season 168. [default: found]"
        ),
    ] = None,
    duplicates: Duplicates = None,
    gaps: Gaps = None,
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a picture (PNG) too.")] = None,
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    date_format: DateFormat = None,
    missing: Missing = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to FILE. [default: print]")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of CSV.")] = False,
) -> None:
    """The next values after a run's data, or of any table, with intervals, as CSV.

    \b
    Of a table, at once, without training:   longlag forecast sales.csv
    Of a model that longlag fit trained:     longlag forecast runs/sales

    A table is forecast by a network that was taught on synthetic series alone and comes with the package
    (docs/model-card.md). Columns, frequency and seasons are found and said, as longlag fit does; rows are
    read by --target, --time, --id, --duplicates and --gaps.
    """
    form = partial(table_format, sep, decimal, encoding, date_format, missing)
    of_rows = {"target": target, "time": time, "id": id, "season": season, "duplicates": duplicates, "gaps": gaps}
    if is_table_or_set(run):
        _refuse_options({"data": data, "future": future}, f"{run} is a table; expected it with a run")
        refuse_what_is_missing(None, run)
        with collector_paused():
            from longlag.cli.inputs import Request, one_of_options
            from longlag.cli.zero_shot import forecast_table

        request = Request(
            data=run,
            target=None if not target else target[0] if len(target) == 1 else tuple(target),
            time=time,
            id=id,
            horizon=horizon,
            duplicates=one_of_options("--duplicates", duplicates, ("refuse", "mean", "last")),
            gaps=one_of_options("--gaps", gaps, ("fill", "mask", "refuse", "ignore")),
            form=form(),
        )
        document = forecast_table(request, coverage, season=season or None, figure=figure)
        _print_notes({run: document["notes"]})
        output.print_error(about_forecast(document))
        _write_rows(document, out, json)
        return
    refuse_what_is_missing(Path(run), data, future)
    _refuse_options(of_rows, f"{run} is a run, which has its columns; expected it with a table")
    with collector_paused():
        from longlag.cli.predict import forecast as answers

    (names, rows), notes = answers(Path(run), horizon, coverage, data=data, future=future, form=form(), figure=figure)
    _print_notes(notes)
    _write_rows({"columns": names, "rows": rows}, out, json)


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


def _refuse_options(options: Mapping[str, Any], reason: str) -> None:
    """Refuse options that were given and have no meaning here. InputError names the first."""
    for name, value in options.items():
        if value not in (None, []):
            raise InputError(f"--{name} was given, but {reason}")


def _write_rows(answers: dict[str, Any], out: Path | None, json: bool) -> None:
    """Write answers: ``columns`` and ``rows`` as CSV, or all of them as JSON."""
    text = output.json_line(answers) if json else output.csv_lines(answers["columns"], answers["rows"])
    output.write(text, out)
