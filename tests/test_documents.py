"""What README and guides show runs: Python blocks are executed, shell lines that call longlag are called."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from cli.commands import longlag
from cli.stand_ins import make_quick
from longlag_lab.batch2013.report import table as table_of

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for number, match in enumerate(re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL), 1):
            found.append((f"{document.name}-{number}", match[1]))
    return found


# torch warns of its own use of its own function when torch.func is first imported
TORCH_OWN = "ignore:`torch.jit.script`:DeprecationWarning"


def parameters(blocks: list[tuple[str, str]]) -> list[Any]:
    """Each block under its name; those that share work out start processes."""
    starts = re.compile(r"ProcessExecutor|--workers|--jobs")
    return [
        pytest.param(name, block, id=name, marks=[pytest.mark.processes] if starts.search(block) else [])
        for name, block in blocks
    ]


PYTHON = blocks("python")
# Blocks that start a cluster run in tests/distributed/test_cluster_guide.py.
SHELL = [(name, block) for name, block in blocks("sh") if "longlag " in block and "ray start" not in block]


@pytest.mark.costly
@pytest.mark.parametrize(("name", "block"), parameters(PYTHON))
@pytest.mark.usefixtures("forked_workers", "no_fitted_methods")
@pytest.mark.filterwarnings(TORCH_OWN)
def test_a_python_block_of_the_documents_runs(
    name: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, name, "exec"), {"__name__": "__main__"})  # noqa: S102 - our own documents
    assert "print(" not in block or capfd.readouterr().out.strip()


def run_lines(block: str) -> None:
    """Call every line of a block that calls longlag."""
    ran = 0
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["longlag"]:
            answer = longlag(*words[1:])
            assert answer.code == 0, f"{line}\n{answer.err}"
            assert answer.out.strip() or "--out" in words
            ran += 1
    assert ran


TRIALS = re.compile(r"--trials \d+")
OF_1997 = re.compile(r"(?<=longlag reproduce )(?=table\d)")


A_FIT = re.compile(r"(?<=longlag fit )(?=\w)(?!.*--max-epochs)")


def shortened(block: str) -> str:
    """A block with one trial where it has several: the others are alike; and fits and trials of 1997 that end early."""
    return A_FIT.sub("--max-epochs 2 ", OF_1997.sub("--cap 100 ", TRIALS.sub("--trials 1", block)))


@pytest.fixture
def no_fitted_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for the simple methods that statsmodels fits at every origin; tests/cli/test_fit.py asks itself."""
    make_quick(monkeypatch)


@pytest.mark.costly
@pytest.mark.parametrize(("name", "block"), parameters(SHELL))
@pytest.mark.usefixtures("forked_workers")
@pytest.mark.filterwarnings(TORCH_OWN)
def test_the_shell_lines_of_a_document_run_in_order(
    name: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_fitted_methods: None
) -> None:
    monkeypatch.chdir(tmp_path)
    run_lines(shortened(block))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "block"), parameters([(name, block) for name, block in SHELL if shortened(block) != block])
)
@pytest.mark.filterwarnings(TORCH_OWN)
def test_the_shell_lines_of_a_document_run_as_they_stand(
    name: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_lines(block)


def test_every_file_a_document_links_to_exists() -> None:
    missing = [
        f"{document.name}: {target}"
        for document in DOCUMENTS
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]
    assert not missing


def test_the_readme_shows_both_kinds_of_block() -> None:
    assert len(PYTHON) >= 3
    assert SHELL


def test_the_readme_shows_the_scores_that_the_benchmark_wrote() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "results" / "sunspots_seeds.json").read_text(encoding="utf-8"))
    first, errors = found["scores"][0], [score["methods"][0]["mae"] for score in found["scores"]]
    for row in first["methods"]:
        shown = [f"{row[name]:.4g}" for name in ("mae", "mase", "rmse", "mae_first_step", "mae_last_step")]
        assert re.search(rf"^ +{re.escape(row['method'])} +{' +'.join(map(re.escape, shown))}$", readme, re.MULTILINE)
    assert f"intervals held {first['interval']['found']:.1%} of the values" in readme
    assert f"is {sum(errors) / len(errors):.1f} ({min(errors):.1f} to {max(errors):.1f})" in readme


@pytest.mark.parametrize("figure", ["fig3c", "hf", "lags"])
def test_the_guide_shows_the_rows_that_the_experiments_wrote(figure: str) -> None:
    guide = (ROOT / "docs" / "guides" / "second-order.md").read_text(encoding="utf-8")
    table = guide.split(f"<!-- {figure} -->\n")[1].split("\n\n")[0].splitlines()
    columns = table[0].strip("| ").split(" | ")
    found = json.loads((ROOT / "results" / "batch2013" / f"{figure}.json").read_text(encoding="utf-8"))["rows"]
    for row, line in zip(found, table[2:], strict=True):
        cells = {column.name: column.cell(row) for column in table_of(figure).columns}
        assert line == "| " + " | ".join("-" if cells[name] is None else str(cells[name]) for name in columns) + " |"


def test_the_readme_shows_the_ratios_that_the_cpu_benchmark_wrote() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "results" / "bench_cpu.json").read_text(encoding="utf-8"))
    ratios = {case["case"]: f"{case['ratio']:.3g}" for case in found["cases"]}
    shown = re.findall(r"^\| (T\d+ B\d+ I\d+ H\d+)(.*) \| ([\d.]+) \| ([\d.]+) \|$", readme, re.MULTILINE)
    assert len(shown) == 6
    for shape, words, single, double in shown:
        name = "ragged" if "ragged" in words else "peepholes" if "peepholes" in words else "LSTM"
        assert (single, double) == (ratios[f"{name}, {shape} f32"], ratios[f"{name}, {shape} f64"])


def test_the_readme_shows_the_scores_of_the_competition_that_the_benchmark_wrote() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    report = (ROOT / "results" / "bench_forecast.md").read_text(encoding="utf-8").split("\n## ")[1]  # M3 is the first
    rows = {
        cells[2]: cells
        for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in report.splitlines())
        if cells[0] == "all"
    }
    ours, theta = rows["LSTMForecaster"], rows["Theta"]
    assert f"{int(ours[1]):,} series of the M3 competition" in readme
    assert f"sMAPE is {ours[3]} (Theta, which won there: {theta[3]} in the same run)" in readme
    assert f"the MASE {ours[5]} ({theta[5]})" in readme
    assert f"intervals hold {float(ours[7].rstrip(' %')):.0f} %" in readme


def test_the_readme_shows_the_scores_of_forecasts_without_training() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    found = json.loads((ROOT / "results" / "zero_shot.json").read_text(encoding="utf-8"))
    [whole] = [one for one in found["competitions"] if (one["competition"], one["frequency"]) == ("M3", "all")]
    ours, theta = whole["methods"]["zero-shot"], whole["methods"]["Theta"]
    assert f"{whole['series']:,} series of the M3 competition its sMAPE is {ours['smape']:.2f}" in readme
    assert f"its MASE {ours['mase']:.3f}, without training" in readme
    assert f"{theta['smape']:.2f} and {theta['mase']:.3f} in the same run" in readme
    assert f"intervals hold {100 * ours['coverage']:.1f} %" in readme
    assert f"take {found['seconds']['m3']:.1f} s of one core" in readme
