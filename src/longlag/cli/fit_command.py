"""The command ``longlag fit``: its options, and what it prints."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from longlag.cli import output
from longlag.cli.early import refuse_what_is_missing
from longlag.cli.scores import print_fit
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
from longlag.loading import collector_paused
from longlag.optimizers import listed, names

__all__ = ["FIT_HELP", "fit"]

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
Train on:                                the same command with --resume and a larger --max-epochs
Share the work out:                      --workers 4 here, --ray auto on a cluster

The columns, the frequency and the season are found too, and said. The last part of each series (--test) is
held out, and the score beside simple methods comes from it; then the model learns that part too
(--no-refit: not). The run directory holds model/, checkpoints/, history.jsonl, metrics.json and figures;
use it with longlag forecast, longlag backtest, longlag predict and longlag info.
"""


def fit(
    data: Annotated[str, typer.Argument(metavar="DATA", help="File or built-in data set.")],
    target: Target = None,
    label: Annotated[str | None, typer.Option(metavar="COL", help="Column with the class to predict.")] = None,
    sequence: Annotated[
        str | None, typer.Option(metavar="COL", help="Column that says which rows belong to one sequence.")
    ] = None,
    time: Time = None,
    id: Id = None,
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
    duplicates: Duplicates = None,
    gaps: Gaps = None,
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
    class_weight: Annotated[
        str | None, typer.Option(metavar="WAY", help="balanced: each class counts as much as any other.")
    ] = None,
    sample_weight: Annotated[
        str | None, typer.Option(metavar="COL", help="Column that says what each sequence counts.")
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
    device: Annotated[
        str, typer.Option(metavar="NAME", help="Learn on cpu, cuda, cuda:1, or auto: a GPU if there is one.")
    ] = "cpu",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Compute in so many processes (or, with --ray, actors).")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help='Compute on the Ray cluster there; "auto": the one of this machine.'),
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the curves of learning there, for TensorBoard.")
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
    refuse_what_is_missing(None, data)
    with collector_paused():
        from longlag.cli.fit import executor_for, optimizer_options
        from longlag.cli.fit import fit as run_fit
        from longlag.cli.inputs import Request, one_of_options
        from longlag.training import TensorBoard
        from longlag.training.devices import training_device

    began = perf_counter()
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
        class_weight=one_of_options("--class-weight", class_weight, ("balanced",)),
        sample_weight=sample_weight,
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
        "device": str(training_device(device)),
        "verbose": not json,
        "callbacks": None if tensorboard is None else [TensorBoard(tensorboard)],
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
        print_fit(metrics, perf_counter() - began)
