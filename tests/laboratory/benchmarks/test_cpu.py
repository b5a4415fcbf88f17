"""The benchmark's parts on tiny cases: who computes something else is not timed; files and table hold every case."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cli.commands import Answer, done, longlag, sentence, tree
from equivalence.engines import automatic
from longlag import LSTM, CellSpec
from longlag.ops import select
from longlag_lab.benchmarks import cases, cpu, implementations, machine
from longlag_lab.benchmarks import cpu_report as report
from longlag_lab.benchmarks.agreement import largest_error
from longlag_lab.benchmarks.cases import Case
from longlag_lab.benchmarks.peephole_lstm import PeepholeLSTM
from longlag_lab.benchmarks.problem import draw
from longlag_lab.harness.report import write_report
from longlag_lab.harness.timer import Effort

LEAST = Effort(least=2, most=2, seconds=0.0, sample=0.0)
TINY = Case(name="LSTM", steps=7, samples=3, inputs=2, hidden=4, dtype=torch.float32, bar=2.0)
PEEPHOLES = CellSpec(peepholes=True)
KINDS = {
    "training": TINY,
    "ragged": replace(TINY, ragged=True, peer="packed nn.LSTM"),
    "peepholes": replace(TINY, cell=PEEPHOLES, peer="eager PyTorch"),
    "an option": replace(TINY, cell=CellSpec.batch2013(), peer="default cell", bar=1.25),
    "a projection": replace(TINY, projection=2, peer="default cell"),
    "inference": replace(TINY, work="inference", bar=None),
    "threads": replace(TINY, threads=2, peer="1 thread"),
    "one step": replace(TINY, work="step", peer="nn.LSTMCell"),
}
if not hasattr(LSTM, "step"):
    del KINDS["one step"]
DTYPES = [torch.float32, torch.float64]
MACHINE: dict[str, Any] = {
    "cpu": "a CPU",
    "cores": 2,
    "instruction_set": None,
    "torch": "2",
    "rates": {
        threads: {"float32_gflops": 8.0, "float64_gflops": 4.0, "float32_onednn_gflops": None, "copy_gbytes": 9.0}
        for threads in ("1", "2")
    },
}


def spoil(monkeypatch: pytest.MonkeyPatch, wrong: Callable[[Tensor], Tensor]) -> None:
    """Every engine but the definition answers ``wrong`` of its outputs."""

    def spoilt(run: Any) -> Any:
        def layer(call: Any) -> Any:
            outputs, state = run(call)
            return wrong(outputs), state

        return layer

    for name, engine in select.ENGINES.items():
        if name != "reference":
            monkeypatch.setattr(engine, "run", spoilt(engine.run))


class WrongGradient(torch.autograd.Function):
    """What it is given; but the error that goes back is a little too large."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> Tensor:
        return errors[0] * 1.001


WRONG = {"outputs": lambda outputs: outputs + 1e-3, "gradients": WrongGradient.apply, "NaN": lambda y: y * torch.nan}


def document(*found: cpu.Result) -> dict[str, Any]:
    return report.document(found, MACHINE, LEAST, quick=True, seconds=1.0)


# ---- the same numbers -----------------------------------------------------------------------------------------------


@pytest.mark.costly
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_a_right_engine_is_timed(case: Case, dtype: torch.dtype) -> None:
    result = cpu.measure_all([replace(case, dtype=dtype)], LEAST)[0]
    assert result.correct
    for timing in (result.ours, result.peer):
        assert timing.error is not None
        assert timing.error <= cpu.TOLERANCE[dtype]
        assert timing.milliseconds is not None
        assert timing.milliseconds > 0
        assert timing.repeats == 2
    assert result.ratio is not None
    assert result.gflops is not None
    assert result.ours.threads == case.threads
    assert result.peer.threads == (1 if case.peer == "1 thread" else case.threads)


@pytest.mark.costly
@automatic  # spoilt is what "auto" takes, and the definition is not to be
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_engine_has_no_time(wrong: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, wrong)
    result = cpu.measure_all([TINY], LEAST)[0]
    assert not result.correct
    assert result.ours.note.startswith("wrong ")
    assert not result.peer.note
    assert result.reached is False
    assert result.ratio is result.gflops is result.ours.milliseconds is result.peer.milliseconds is None
    assert report.rows(document(result))[0][2:7] == ["WRONG", "nn.LSTM", "-", "-", "≥ 2"]
    assert "1 wrong" in report.summary(document(result))


@pytest.mark.costly
@pytest.mark.parametrize("slip", ["cells", "weight"])
def test_a_peer_that_computes_something_else_has_no_time(slip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = PeepholeLSTM.step

    def step(self: Any, from_input: Tensor, output: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        output, after = right(self, from_input, output, cells)
        return (output, cells) if slip == "cells" else (output * 1.01, after)

    monkeypatch.setattr(PeepholeLSTM, "step", step)
    result = cpu.measure_all([KINDS["peepholes"]], LEAST)[0]
    assert not result.correct
    assert not result.ours.note
    assert "eager PyTorch: wrong" in report.notes(document(result))[0]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_ragged_peers_agree(dtype: torch.dtype) -> None:
    problem = draw(replace(KINDS["ragged"], steps=9, samples=5))
    lengths = problem.case.lengths()
    assert len(set(lengths)) > 1
    assert set(lengths) <= set(range(1, 10))
    definition = implementations.definition(problem)
    for runner in (implementations.ours(problem, dtype, 1), implementations.peer(problem, dtype)):
        found = runner.answers()
        assert set(found) == set(definition)
        assert largest_error(found, definition)[0] <= cpu.TOLERANCE[dtype]
        for sample, length in enumerate(lengths):
            assert not found["output"][length:, sample].any()
            assert not found["input"][length:, sample].any()


def test_all_gradients_are_compared() -> None:
    definition = implementations.definition(draw(KINDS["peepholes"]))
    names = {f"{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_peephole")}
    assert set(definition) == {"output", "input"} | names
    for name in definition:
        spoilt = {**definition, name: definition[name] * (1 + 1e-3)}
        assert largest_error(spoilt, definition) == (pytest.approx(1e-3), name)
        missing = {other: definition[other] for other in definition if other != name}
        assert largest_error(missing, definition) == (float("inf"), name)


def test_the_same_case_gives_the_same_numbers_and_another_seed_others() -> None:
    first, second, third = (draw(case) for case in (TINY, TINY, replace(TINY, seed=1)))
    assert first.input.equal(second.input)
    assert all(first.weights[name].equal(second.weights[name]) for name in first.weights)
    assert not first.input.equal(third.input)


@pytest.mark.costly
def test_the_callers_settings_are_afterwards_as_before() -> None:
    torch.set_num_threads(2)
    before = torch.get_rng_state()
    cpu.measure_all([TINY, KINDS["peepholes"]], LEAST)
    assert torch.get_rng_state().equal(before)
    assert torch.get_num_threads() == 2
    assert gc.isenabled()


@pytest.mark.costly
@pytest.mark.parametrize("failure", [implementations.Unavailable("not installed"), RuntimeError("no compiler")])
def test_others_that_cannot_run_are_named_with_the_reason(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(implementations, "other", fail)
    result = cpu.measure_all([replace(TINY, others=("JAX lax.scan",))], LEAST)[0]
    assert result.correct
    reason = "not installed" if isinstance(failure, implementations.Unavailable) else "does not run here: RuntimeError"
    assert report.notes(document(result)) == [f"{TINY.title}: JAX lax.scan: {reason}"]


# ---- counts and bars ------------------------------------------------------------------------------------------------


def test_multiply_adds_count_real_steps_of_every_product() -> None:
    assert TINY.multiply_adds == 7 * 3 * 16 * (2 + 4)
    assert TINY.operations == 6 * TINY.multiply_adds
    assert KINDS["inference"].operations == 2 * TINY.multiply_adds
    assert KINDS["a projection"].multiply_adds == 7 * 3 * (16 * (2 + 2) + 2 * 4)
    ragged = KINDS["ragged"]
    assert ragged.multiply_adds == sum(ragged.lengths()) * 16 * (2 + 4)
    gates = replace(TINY, cell=CellSpec(gate_recurrence=True))
    assert gates.multiply_adds == 7 * 3 * 16 * (2 + 4 + 12)


def timed(case: Case, ours: float, peer: float) -> cpu.Result:
    timings = (cpu.Timing(name, 1, error=0.0, milliseconds=value) for name, value in (("ours", ours), ("peer", peer)))
    return cpu.Result(case, "native", *timings)


def test_a_speed_up_has_to_reach_its_bar_and_a_cost_to_stay_below() -> None:
    assert timed(TINY, 1.0, 3.0).ratio == 3.0
    assert timed(TINY, 1.0, 3.0).reached is True
    assert timed(TINY, 1.0, 1.9).reached is False
    assert timed(replace(TINY, bar=None), 1.0, 1.9).reached is None
    coupled = replace(TINY, cell=CellSpec.coupled(), peer="default cell", bar=1.25)
    assert timed(coupled, 0.75, 1.0).ratio == pytest.approx(1.0)
    assert timed(coupled, 0.9, 1.0).reached is True
    assert timed(coupled, 0.95, 1.0).reached is False


def test_a_busy_machine_is_named() -> None:
    quiet, busy = timed(TINY, 1.0, 1.0), timed(TINY, 1.0, 1.0)
    quiet = replace(quiet, ours=replace(quiet.ours, waited=0.01), peer=replace(quiet.peer, waited=0.0))
    busy = replace(busy, ours=replace(busy.ours, waited=0.3))
    assert report.warnings(document(quiet)) == []
    assert "1 of 3 measurements" in report.warnings(document(quiet, busy))[0]
    assert "**The machine was busy" in report.markdown(document(quiet, busy))


def test_the_cases() -> None:
    def asked(quick: bool = False, threads: int = 1, cores: int = 2) -> list[Case]:
        return cases.cpu_cases(quick=quick, threads=threads, cores=cores)

    full, quick = asked(), asked(quick=True)
    titles = [case.title for case in full]
    assert len(set(titles)) == len(titles)
    assert {case.title for case in quick} < set(titles)
    assert not any(case.others or case.hidden == 512 for case in quick)
    assert {name for case in full for name in case.others} == {"torch.compile", "JAX lax.scan"}
    bars = {case.title: case.bar for case in full}
    assert bars["LSTM, T100 B1000 I2 H4 f32"] == 15
    assert bars["LSTM, T100 B1 I2 H4 f64"] == 30
    assert bars["peepholes, T100 B64 I256 H256 f64"] == 2
    assert bars["2 threads, T100 B1000 I2 H4 f32"] == 1.7
    assert all(case.bar is None for case in asked(threads=3))
    assert not any(case.peer == "1 thread" for case in asked(cores=1))


# ---- report and command ---------------------------------------------------------------------------------------------


@pytest.mark.costly
def test_the_machine_is_described() -> None:
    before = torch.get_num_threads()
    found = machine.describe({1})
    assert torch.get_num_threads() == before
    assert found["cpu"]
    assert found["cores"] == machine.cores() >= 1
    assert set(found["rates"]["1"]) == set(MACHINE["rates"]["1"])
    assert all(rate is None or rate > 0 for rate in found["rates"]["1"].values())
    assert set(found) == set(MACHINE)


@pytest.mark.costly
def test_files_hold_every_case(tmp_path: Path) -> None:
    results = cpu.measure_all(list(KINDS.values()), LEAST)
    written = document(*results)
    paths = write_report(tmp_path, report.NAME, written, report.markdown(written))
    assert sorted(tree(tmp_path)) == ["bench_cpu.json", "bench_cpu.md"]
    found = json.loads(paths[0].read_bytes())
    assert set(found) == {"cases", "date", "effort", "environment", "machine", "quick", "seconds", "tolerance"}
    assert {"longlag", "torch", "numpy", "python", "commit", "platform"} <= set(found["environment"])
    assert found["machine"] == MACHINE
    assert len(found["cases"]) == len(KINDS)
    for record, case in zip(found["cases"], KINDS.values(), strict=True):
        assert set(record) == {
            *("bar", "case", "cell", "correct", "dtype", "engine", "gflops", "hidden", "inputs", "multiply_adds"),
            *("name", "others", "ours", "peer", "projection", "ragged", "ratio", "ratio_is", "reached", "samples"),
            *("share_of_product_rate", "gbytes", "share_of_copy_rate", "steps", "threads", "work"),
        }
        assert (record["case"], record["bar"], record["correct"]) == (case.title, case.bar, True)
        for timing in (record["ours"], record["peer"]):
            assert set(timing) == {
                *("error", "milliseconds", "name", "note", "quartiles", "repeats", "threads", "waited")
            }
            assert timing["quartiles"][0] <= timing["milliseconds"] <= timing["quartiles"][1]
        assert record["share_of_product_rate"] == pytest.approx(record["gflops"] / 8.0)
        assert record["cell"]["peepholes"] == case.cell.peepholes
    lines = [line for line in paths[1].read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(KINDS)
    assert {line.count("|") for line in lines} == {len(report.COLUMNS) + 1}
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == [case.title for case in KINDS.values()]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command in an empty folder, with two cases and no time spent on the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cases, "cpu_cases", lambda **_: [TINY, KINDS["ragged"]])
    monkeypatch.setattr(machine, "describe", lambda threads: MACHINE)
    monkeypatch.setattr(cpu, "QUICK", LEAST)


@pytest.mark.costly
@pytest.mark.usefixtures("few")
def test_the_command_prints_a_table_and_says_where_the_files_are() -> None:
    said = done("bench", "cpu", "--quick", "--out", "new/here")
    assert sorted(tree(Path("new/here"))) == ["bench_cpu.json", "bench_cpu.md"]
    for words in (TINY.title, "packed nn.LSTM", "bars reached", "new/here/bench_cpu.json and new/here/bench_cpu.md"):
        assert words in said


@pytest.mark.costly
@automatic
@pytest.mark.usefixtures("few")
def test_the_command_ends_with_1_when_something_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, WRONG["outputs"])
    answer = longlag("bench", "cpu", "--quick")
    assert (answer.code, answer.err) == (1, "")
    assert "2 wrong, so not timed" in answer.out
    assert json.loads(Path("results/bench_cpu.json").read_bytes())["cases"][0]["correct"] is False


@pytest.mark.usefixtures("few")
def test_bad_options_are_refused_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "measure_all", lambda *_: pytest.fail("measured"))
    Path("file").touch()

    def refused(*words: object) -> str:
        answer: Answer = longlag("bench", "cpu", *words)
        assert sorted(tree(Path())) == ["file"]
        return sentence(answer)

    cores = machine.cores()
    for threads in (0, -1, cores + 1):
        assert f"--threads is {threads}; expected 1 to {cores}" in refused("--threads", threads)
    assert "file is a file; expected a folder" in refused("--out", "file")
    assert "file/below cannot be written" in refused("--out", "file/below")
    for words in (("cpu", "--threads", "many"), ("cpu", "--fast"), ("gpu",), ()):
        assert longlag("bench", *words).code == 2


def test_what_has_to_be_moved_is_counted_once_forward_and_twice_back() -> None:
    case = Case(name="x", steps=2, samples=3, inputs=5, hidden=7, dtype=torch.float32, work="inference")
    weights, numbers = 28 * (5 + 7), 2 * 3 * (5 + 7)
    assert case.traffic == 4 * (weights + numbers)
    assert replace(case, work="training").traffic == 3 * case.traffic
    assert replace(case, work="step").traffic == 4 * (weights + 3 * (5 + 7))
