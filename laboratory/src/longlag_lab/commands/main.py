"""What the laboratory adds to the longlag command: ``longlag reproduce``, ``bench`` and ``pretrain``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from longlag_lab.commands import bench

__all__ = ["join"]


def join(app: typer.Typer) -> None:
    """Add the laboratory's commands to ``app``. The entry point ``longlag.commands`` names this function."""
    app.command()(reproduce)
    app.add_typer(bench.app, name="bench")
    app.command()(pretrain)


def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="Of the 1997 paper: table1 ... table9, 1997 (all of them) or limits (section 6.1). Of the batch "
            "paper: fig2b, fig3a, fig3b, fig3c, hf, xor, precision, lags or 2013 (all of them).",
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Show the rows asked for (no NAME: all) and the paper's values, and stop.")
    ] = False,
    rows: Annotated[
        str | None, typer.Option(metavar="ROWS", help="Rows: 1-1,2a,2c,6b as in the 1997 paper's Table 10; hf,lm.")
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials of a row. [default: the paper's]")] = None,
    cap: Annotated[
        int | None,
        typer.Option(min=1, help="1997: sequences of a trial at most. [default: 3 times the paper's count]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same trials.")] = 0,
    reading: Annotated[
        str | None, typer.Option(metavar="NAME", help="1997: literal, best or today. [default: all that a row has]")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes at work side by side.")] = 1,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of hochreiter1997/ and batch2013/: tables, and every trial.")
    ] = Path("results"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the trials that have ended with the same settings, run the others.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per row instead of tables.")] = False,
) -> None:
    """Run the experiments of the 1997 paper or of the batch paper, and print what comes out beside what they have.

    DIR/hochreiter1997 gets table1.json, .md, .png and so on, DIR/batch2013 fig3c.json and so on. Rows there that were
    not run again stay; a row that was is replaced unless it has more trials than the new one, or was run with the
    paper's cap and the new one was not: a quick look with --trials or --cap spoils no full table.

    Trials are stored in a folder trials/ beside them as they end, apart for every --cap, --seed and reading. --resume
    goes on with those of the same settings; without it they are run again, and the old ones are set aside as .old
    files.
    """
    from longlag_lab.commands import reproduce as command
    from longlag_lab.harness.request import Request

    request = Request(names=tuple(names or ()), rows=rows, trials=trials, cap=cap, seed=seed, variant=reading)
    experiment = command.experiment_of(request.names)
    if listed:
        if not names:
            request = replace(request, names=("1997", "limits"))
        command.list_rows(experiment, request, json=json)
    else:
        command.reproduce(experiment, request, processes=jobs, out=out, resume=resume, json=json)


def pretrain(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the weights, their manifest and checkpoints.")],
    updates: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Updates of the weights. [default: those of the package]")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A minute: too short for its weights.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same weights.")] = 0,
    hidden: Annotated[
        int | None, typer.Option(metavar="H", min=1, max=4096, help="Memory cells of each layer.")
    ] = None,
    layers: Annotated[int | None, typer.Option(metavar="N", min=1, max=16, help="LSTM layers.")] = None,
    cell: Annotated[
        str,
        typer.Option(metavar="NAME", help="plain, coupled, peephole, sharpened and others; a wrong name lists all."),
    ] = "plain",
    learn_sharpness: Annotated[bool, typer.Option("--learn-sharpness", help="Learn the slope of the gates.")] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="INGREDIENT", help="What no series is made of; may be repeated; a wrong name lists all."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=256, help="They change no bit. [default: the cores]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint, to the same bits.")] = False,
    study: Annotated[
        bool, typer.Option("--study", help="Teach many short variants instead, --threads of them side by side.")
    ] = False,
    tables: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Of the study: sizes,cells,ingredients,schedules. [default: all]"),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Seeds of each variant of the study. [default: 2]")
    ] = None,
) -> None:
    """Teach the forecaster that comes with the package, on synthetic series alone.

    DIR gets weights.safetensors and manifest.json, which says from which commit, seed and settings they come, how long
    they took, and their errors on held-out synthetic series. With --study it gets pretraining_study.json and .md, which
    rank sizes, cells, ingredients and schedules; trials that have ended are kept with --resume.
    """
    from longlag.errors import InputError
    from longlag_lab.benchmarks.machine import cores
    from longlag_lab.commands import pretrain as command
    from longlag_lab.pretraining.settings import QUICK_UPDATES, PretrainingSettings

    if quick and updates is not None:
        raise InputError("--quick and --updates are both there; expected one of them")
    if study:
        alone = {"--quick": quick, "--seed": seed, "--hidden": hidden, "--layers": layers, "--cell": cell != "plain"}
        alone |= {"--learn-sharpness": learn_sharpness, "--without": bool(without)}
        for option, present in alone.items():
            if present:
                raise InputError(f"{option} and --study are both there; expected the variants that the study has")
        names = tuple(name.strip() for name in (tables or "").split(",") if name.strip())
        command.run_study(names, updates, out, trials=trials or 2, processes=threads or cores(), resume=resume)
        return
    if tables is not None or trials is not None:
        raise InputError("--tables and --trials are options of the study; expected --study beside them")
    usual = PretrainingSettings()
    settings = replace(
        usual,
        seed=seed,
        updates=QUICK_UPDATES if quick else updates or usual.updates,
        hidden_size=hidden or usual.hidden_size,
        num_layers=layers or usual.num_layers,
        cell=cell,
        learn_sharpness=learn_sharpness,
        without=tuple(without or ()),
    )
    command.run(settings, out, threads=threads or cores(), resume=resume)
