"""The longlag command: reads options, calls, prints. Exit code 0: done; 1: training diverged; 2: bad input."""

from __future__ import annotations

import importlib.metadata
import io
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from longlag.cli import laboratory, output
from longlag.cli.table_options import DateFormat, Decimal, Encoding, Missing, Separator, table_format
from longlag.errors import DivergenceError, LonglagError
from longlag.optimizers import listed, names

__all__ = ["app", "main"]


class _Interrupted(Exception):
    """Ctrl-C, in a form that typer does not answer itself."""


_AGAIN = {
    "fit": "; the same command with --resume goes on from the last checkpoint",
    "reproduce": "; the same command with --resume keeps the trials that have ended",
}


_CLASSES_SHOWN = 12
"""Columns of a confusion matrix that fit on a page."""


class _Commands(TyperGroup):
    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _Interrupted("interrupted" + _AGAIN.get(ctx.invoked_subcommand or "", "")) from None


app = typer.Typer(
    name="longlag",
    cls=_Commands,
    help="LSTM networks for long time lags: fit, score and use a model from a table, in one command.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        output.print_line(f"longlag {importlib.metadata.version('longlag')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What stands before the name of a command."""


FIT_HELP = """Train a model, score it on data it never saw, and save it as a run directory.

DATA is a CSV, TSV or Parquet file (or text with other separators, .xlsx, JSON lines, Feather; .gz and .zst of
text), or a built-in set: sunspots, co2, elnino, JapaneseVowels (all but sunspots need:
pip install "longlag[data]"). How a text file is written is found out, and said where it is unusual.

\b
Forecast what the table holds:           longlag fit sales.csv
Forecast a column, 12 rows ahead:        longlag fit sales.csv --target units --horizon 12
Many series below each other:            longlag fit sales.csv --target units --id store --time day
With a column known in the future:       longlag fit sales.csv --target units --known promotion
Classify sequences (rows that share id): longlag fit steps.csv --label class --sequence id
Classify rows, each one a sequence:      longlag fit rows.csv --label class
A number for each sequence:              longlag fit steps.csv --target score --sequence id
Go on after a kill:                      the same command with --resume
Share the work out:                      --workers 4 here, --ray auto on a cluster

The columns, the frequency and the season are found too, and said. The last part of each series (--test) is
held out, and the score beside simple methods comes from it; then the model learns that part too
(--no-refit: not). The run directory holds model/, checkpoints/, history.jsonl, metrics.json and figures;
use it with longlag forecast, longlag backtest, longlag predict and longlag info.
"""


@app.command(help=FIT_HELP)
def fit(
    data: Annotated[str, typer.Argument(metavar="DATA", help="File or built-in data set.")],
    target: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="Number column to forecast. May be repeated: a series each.")
    ] = None,
    label: Annotated[str | None, typer.Option(metavar="COL", help="Column with the class to predict.")] = None,
    sequence: Annotated[
        str | None, typer.Option(metavar="COL", help="Column that says which rows belong to one sequence.")
    ] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="Column with times. [default: found]")] = None,
    id: Annotated[
        str | None, typer.Option("--id", metavar="COL", help="Column that says which series a row belongs to.")
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="Column to read whose future nobody knows. May be repeated.")
    ] = None,
    known: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="Column that is known in the future. May be repeated.")
    ] = None,
    static: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="Column that is constant for a series. May be repeated.")
    ] = None,
    calendar: Annotated[bool, typer.Option("--calendar", help="Read the dates too: hour, weekday, month.")] = False,
    holidays: Annotated[
        str | None, typer.Option(metavar="COUNTRY", help="--calendar with the holidays of a country, as DE or US-CA.")
    ] = None,
    duplicates: Annotated[
        str | None, typer.Option(metavar="WAY", help="Rows of one time: refuse, mean or last. [default: refuse]")
    ] = None,
    gaps: Annotated[
        str | None,
        typer.Option(metavar="WAY", help="Times without a row: mask, fill, refuse or ignore. [default: mask, if sure]"),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Rows ahead to forecast. [default: a season, at most 48]")
    ] = None,
    season: Annotated[
        int | None, typer.Option(min=1, help="Rows after which the series roughly repeats. [default: found]")
    ] = None,
    lags: Annotated[
        int | None, typer.Option(min=1, help="Past values read at each step. [default: a season, at most 33]")
    ] = None,
    networks: Annotated[
        int | None, typer.Option(min=1, help="Networks of different seeds that forecast together. [default: 3]")
    ] = None,
    test: Annotated[float | None, typer.Option(help="Share held out for the score. [default: 0.25]")] = None,
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    date_format: DateFormat = None,
    missing: Missing = None,
    optimizer: Annotated[str | None, typer.Option(metavar="NAME", help=f"{listed(names())}. [default: adam]")] = None,
    optimizer_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="An option of the optimiser, as history_size=5 of lbfgs. May be repeated."
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help=f"Step size of {', '.join(names(methods=False))}. [default: a schedule]")
    ] = None,
    hidden_size: Annotated[int | None, typer.Option(min=1, help="Memory cells per layer.")] = None,
    num_layers: Annotated[int, typer.Option(min=1, help="Layers.")] = 1,
    max_epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data at most.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Compute in so many processes (or, with --ray, actors).")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help='Compute on the Ray cluster there; "auto": the one of this machine.'),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same bits.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Run directory. [default: runs/<name of the data>]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run that is there, bit for bit.")] = False,
    refit: Annotated[
        bool, typer.Option("--refit/--no-refit", help="Learn the held-out part too, after the score.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    from longlag.cli.fit import executor_for, optimizer_options
    from longlag.cli.fit import fit as run_fit
    from longlag.cli.inputs import Request, one_of_options

    began = _now()
    request = Request(
        data=data,
        target=None if not target else target[0] if len(target) == 1 else tuple(target),
        label=label,
        sequence=sequence,
        time=time,
        horizon=horizon,
        season=season,
        lags=lags,
        test=test,
        id=id,
        inputs=tuple(inputs or ()),
        known=tuple(known or ()),
        static=tuple(static or ()),
        calendar=calendar if holidays is None else holidays,
        duplicates=one_of_options("--duplicates", duplicates, ("refuse", "mean", "last")),
        gaps=one_of_options("--gaps", gaps, ("fill", "mask", "refuse", "ignore")),
        networks=networks,
        refit=refit,
        form=table_format(sep, decimal, encoding, date_format, missing),
    )
    settings = {
        "optimizer": optimizer,
        "optimizer_options": optimizer_options(optimizer_option) if optimizer_option else None,
        "learning_rate": learning_rate,
        "hidden_size": hidden_size,
        "num_layers": num_layers,
        "max_epochs": max_epochs,
        "verbose": not json,
    }
    metrics = run_fit(
        request,
        {name: value for name, value in settings.items() if value is not None},
        seed=seed,
        executor=executor_for(workers, ray),
        run=out,
        resume=resume,
    )
    if json:
        output.write(output.json_line(metrics))
    else:
        _print_fit(metrics, _now() - began)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory that longlag fit wrote.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="File or built-in data set with the same columns.")],
    sep: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    date_format: DateFormat = None,
    missing: Missing = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to FILE. [default: print]")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of CSV.")] = False,
) -> None:
    """Answers of a trained model for new data, as CSV.

    A classifier or regressor answers for each sequence; a forecaster for each row, from the rows before it.
    """
    from longlag.cli.predict import predict as answers

    rows, notes = answers(run, data, table_format(sep, decimal, encoding, date_format, missing))
    if notes:
        _complain(output.as_read(data, notes))
    _write_rows(rows, out, json)


@app.command()
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
    from longlag.cli.predict import forecast as answers

    form = table_format(sep, decimal, encoding, date_format, missing)
    _write_rows(answers(run, steps, coverage, data=data, future=future, form=form, figure=figure), out, json)


@app.command()
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
    from longlag.cli.predict import backtest as scores

    score = scores(run, data, horizon, stride, coverage, table_format(sep, decimal, encoding, date_format, missing))
    if json:
        output.write(output.json_line(score))
    else:
        output.print_line(f"{score['origins']} forecasts of {score['horizon']} steps")
        _print_score(score)


@app.command()
def info(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Directory that longlag fit wrote.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> None:
    """What is installed and which engines can run here; with RUN, what that run is and how it did."""
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
        _print_score(score)


laboratory.join(app)


def _write_rows(answers: tuple[list[str], list[list[Any]]], out: Path | None, json: bool) -> None:
    columns, rows = answers
    output.write(output.json_line({"columns": columns, "rows": rows}) if json else output.csv_lines(columns, rows), out)


def _print_fit(metrics: dict[str, Any], seconds: float) -> None:
    if metrics.get("notes"):
        output.print_line(output.as_read(metrics["data"], metrics["notes"]))
    if metrics["task"] == "forecast":
        target = metrics["target"] if isinstance(metrics["target"], str) else ", ".join(metrics["target"])
        series = f", {metrics['series']} series" if metrics["series"] > 1 else ""
        season = f"season {metrics['season']}" if metrics["season"] else "no season"
        output.print_line(
            f"{metrics['data']}: {target}{series}, {season}; {metrics['training_rows']} rows to learn from, the last "
            f"{metrics['test_rows']} held out; {metrics['score']['origins']} forecasts of {metrics['horizon']} steps"
        )
    else:
        output.print_line(
            f"{metrics['data']}: {metrics['training_sequences']} sequences to learn from, "
            f"{metrics['test_sequences']} held out"
        )
    _print_score(metrics["score"])
    output.print_line(
        f"{metrics['weights']} weights, best of {metrics['epochs']} epochs: {metrics['best_epoch']}; {seconds:.1f} s; "
        f"run saved in {metrics['run']}"
    )
    if metrics["task"] == "forecast":
        future = " --future FILE" if metrics["known"] else ""
        output.print_line(f"next: longlag forecast {metrics['run']} --steps {metrics['horizon']}{future}")


def _print_score(score: dict[str, Any]) -> None:
    titles = {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced accuracy",
        "log_loss": "log loss",
        "mae": "mean abs. error",
        "mase": "scaled (MASE)",
        "rmse": "root mean sq. error",
        "mae_first_step": "MAE, first step",
        "mae_last_step": "MAE, last step",
    }
    names = [name for name in titles if name in score["methods"][0]]
    output.print_table(
        "on held-out data",
        ["method", *(titles[name] for name in names)],
        [[row["method"], *(row[name] for name in names)] for row in score["methods"]],
    )
    if "confusion" in score:
        _print_classes(score)
    if "answer" in score:
        shares = ", ".join(f"{_part(name)} {share:.0%}" for name, share in score["answer"].items())
        output.print_line(f"the answer is made of: {shares}")
    if score.get("interval", {}).get("found") is not None:
        interval = score["interval"]
        output.print_line(f"{interval['asked']:.0%} intervals held {interval['found']:.1%} of the values")


def _print_classes(score: dict[str, Any]) -> None:
    """How each class is recognised and, where they fit on a page, which classes its sequences are taken for."""
    classes = score["classes"]
    shown = len(classes) <= _CLASSES_SHOWN
    output.print_table(
        "by class, and how many are taken for which" if shown else "by class",
        ["class", "sequences", "recall", *(str(row["class"]) for row in classes if shown)],
        [
            [str(row["class"]), row["sequences"], row["recall"], *(taken if shown else ())]
            for row, taken in zip(classes, score["confusion"], strict=True)
        ],
    )


def _part(method: str) -> str:
    return "networks" if method == "LSTM" else method


def _now() -> float:
    return time.perf_counter()


def main() -> None:
    """Entry point: a user's mistake ends in one sentence on standard error and exit code 2, never in a traceback."""
    warnings.showwarning = lambda message, *_, **__: _complain(f"warning: {message}")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may hold what the terminal cannot show
    try:
        app()
    except DivergenceError as error:
        _complain(str(error))
        sys.exit(1)
    except LonglagError as error:
        _complain(str(error))
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate memory" not in str(error):  # torch's words
            raise
        _complain("this does not fit into memory; expected less data, or a smaller --hidden-size or --lags")
        sys.exit(2)
    except _Interrupted as error:
        _complain(str(error))
        sys.exit(130)


def _complain(sentence: str) -> None:
    print("longlag:", " ".join(sentence.splitlines()), file=sys.stderr)
