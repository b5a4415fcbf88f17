"""The longlag command: reads options, calls, prints. Exit code 0: done; 1: training diverged; 2: bad input."""

from __future__ import annotations

import importlib.metadata
import io
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from longlag.cli import fit_command, laboratory, output, run_commands
from longlag.errors import DivergenceError, InputError, LonglagError

__all__ = ["app", "main"]


class _Interrupted(Exception):
    """Ctrl-C, in a form that typer does not answer itself."""


_AGAIN = {
    "fit": "; the same command with --resume goes on from the last checkpoint",
    "reproduce": "; the same command with --resume keeps the trials that have ended",
}


class _Commands(TyperGroup):
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        with _in_one_sentence(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            with _in_one_sentence(ctx):
                return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _Interrupted("interrupted" + _AGAIN.get(ctx.invoked_subcommand or "", "")) from None


_Mistyped: type[Exception] = typer.BadParameter.__mro__[1]
"""click's UsageError, which typer raises for words that it cannot use and does not export."""


@contextmanager
def _in_one_sentence(context: typer.Context) -> Iterator[None]:
    """Turn what typer says of mistyped words in several lines into one sentence."""
    try:
        yield
    except _Mistyped as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # which shows the help itself
            raise
        where = getattr(error, "ctx", None) or context
        command = " ".join([where.command_path, *([where.invoked_subcommand] if where.invoked_subcommand else [])])
        message, option = str(getattr(error, "message", "")), getattr(error, "option_name", None)
        if option is not None and "No such option" in message:
            known = [name for parameter in where.command.params for name in parameter.opts if name.startswith("--")]
            message = f"No such option: {option}{_nearest(option, known)}"
        else:
            message = str(error.format_message()).rstrip(".")  # type: ignore[attr-defined]
        raise InputError(f"{message} ({command} --help says what is expected)") from error


def _nearest(option: str, known: Sequence[str]) -> str:
    """The words ", did you mean --x?" for the option most like this one; one that holds its name is the likeliest."""
    word = option.lstrip("-")
    holding = [name for name in known if word and word in name.split("-")]
    close = holding or get_close_matches(option, known, n=1)
    return f", did you mean {close[0]}?" if close else ""


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


app.command(help=fit_command.FIT_HELP)(fit_command.fit)
for command in (run_commands.predict, run_commands.forecast, run_commands.backtest, run_commands.info):
    app.command()(command)
laboratory.join(app)


def main() -> None:
    """Entry point: a user's mistake ends in one sentence on standard error and exit code 2, never in a traceback."""
    warnings.showwarning = lambda message, *_, **__: output.print_error(f"warning: {message}")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may hold what the terminal cannot show
    try:
        app(prog_name="longlag")
    except DivergenceError as error:
        output.print_error(str(error))
        sys.exit(1)
    except LonglagError as error:
        output.print_error(str(error))
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate memory" not in str(error):  # torch's words
            raise
        output.print_error("this does not fit into memory; expected less data, or a smaller --hidden-size or --lags")
        sys.exit(2)
    except _Interrupted as error:
        output.print_error(str(error))
        sys.exit(130)
