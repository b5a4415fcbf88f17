"""``longlag bench gpu``: without a GPU it says so; its parts run on the CPU, the kernels in Triton's interpreter."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cli.commands import longlag, sentence
from longlag import CellSpec
from longlag.ops import select
from longlag_lab.benchmarks import gpu_cases
from longlag_lab.benchmarks.cases import Case
from longlag_lab.benchmarks.gpu_cases import DTYPE, GpuCase, Target
from longlag_lab.harness.report import write_report
from longlag_lab.harness.timer import Effort

pytest.importorskip("triton", minversion="3.4")
import ops.fast_interpreter  # noqa: F401
from longlag.ops.triton.launch import INTERPRETED
from longlag_lab.benchmarks import gpu, gpu_machine, gpu_report, gpu_runner


def interpreted(test: Callable[..., None]) -> Callable[..., None]:
    """For tests that run the kernels in Triton's interpreter."""
    needs_it = pytest.mark.skipif(not INTERPRETED, reason="the kernels were compiled for the GPU")
    return pytest.mark.interpreter(needs_it(test))


LEAST = Effort(least=2, most=2, seconds=0.0, sample=0.0)
TINY = Case(name="LSTM", steps=2, samples=1, inputs=2, hidden=4, dtype=torch.float32)
PLAIN = GpuCase(
    case=TINY,
    numbers="float32",
    entrants=("longlag", "auto", "nn.LSTM"),
    targets=(Target(who="auto", peer="nn.LSTM", ratio=1e-9),),
)
PEEPHOLES = GpuCase(
    case=replace(TINY, name="peepholes", cell=CellSpec(peepholes=True)),
    numbers="float32",
    entrants=("longlag", "our plain cell", "eager PyTorch"),
    targets=(
        Target(who="longlag", peer="our plain cell", ratio=1e9, cost=True),
        Target(who="longlag", peer="eager PyTorch", ratio=1e9),
    ),
)
MACHINE: dict[str, Any] = {
    "device": "a GPU",
    "driver": "1.2",
    "cuda": "13",
    "cudnn": 9,
    "triton": "3",
    "copy_gbytes": 4000.0,
    "product_gflops": dict.fromkeys(DTYPE, 50_000.0),
    "step_microseconds": 0.5,
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_command_says_so_in_a_sentence_writes_nothing_and_ends_with_2(tmp_path: Path) -> None:
    answer = longlag("bench", "gpu", "--quick", "--out", str(tmp_path / "results"))
    assert answer.code == 2
    assert "there is no GPU to measure: PyTorch sees no CUDA device" in sentence(answer)
    assert not list(tmp_path.iterdir())


@interpreted
@pytest.mark.parametrize("numbers", DTYPE)
def test_a_right_entrant_is_timed_in_every_kind_of_numbers(numbers: gpu_cases.Numbers) -> None:
    case = replace(TINY, dtype=DTYPE[numbers])
    found = gpu.measure(replace(PLAIN, case=case, numbers=numbers), LEAST, "cpu")
    assert [one.name for one in found] == ["longlag", "auto", "nn.LSTM"]
    for one in found:
        assert (one.note, one.wrong) == ("", False)
        assert one.error is not None
        assert one.error <= gpu_cases.TOLERANCE[numbers]
        assert one.milliseconds is not None
        assert one.milliseconds > 0
        assert one.repeats == 2
    assert found[0].engine == "triton"


@interpreted
def test_a_wrong_engine_has_no_time_and_meets_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    right = select.ENGINES["triton"].run

    def wrong(call: Any) -> Any:
        outputs, state = right(call)
        return outputs + 1e-3, state

    monkeypatch.setattr(select.ENGINES["triton"], "run", wrong)
    found = gpu.measure(PEEPHOLES, LEAST, "cpu")
    assert [one.wrong for one in found] == [True, True, False]
    assert found[0].note.startswith("wrong output")
    assert found[0].milliseconds is None
    document = gpu_report.document([(PEEPHOLES, found)], [], MACHINE, quick=True, seconds=1.0)
    assert gpu_report.summary(document) == "0 of 2 targets met; 2 wrong, so not timed"


@interpreted
def test_files_hold_every_entrant_target_and_size(tmp_path: Path) -> None:
    asked = [PLAIN, PEEPHOLES, replace(PLAIN, case=replace(TINY, work="inference"), targets=())]
    results = [(one, gpu.measure(one, LEAST, "cpu")) for one in asked]
    swept = [gpu.sweep(replace(TINY, cell=CellSpec.batch2013()), LEAST, "cpu")]
    document = gpu_report.document(results, swept, MACHINE, quick=True, seconds=1.0)
    record, text = write_report(tmp_path, gpu_report.NAME, document, gpu_report.markdown(document))
    kept = json.loads(record.read_text())
    assert [len(case["entrants"]) for case in kept["cases"]] == [3, 3, 3]
    assert [[target["met"] for target in case["targets"]] for case in kept["cases"]] == [[True], [True, False], []]
    assert kept["sweep"][0]["hidden"] == 4
    assert kept["machine"]["driver"] == "1.2"
    written = text.read_text()
    assert written.count("\n| ") == 9 + 1 + 4  # entrants, the sweep, two heads and two rules
    assert "1.2" in written
    assert gpu_report.summary(document) == "2 of 3 targets met"


def test_cells_up_to_which_ours_is_faster_are_those_before_the_first_case_that_is_not() -> None:
    def measured(hidden: int, ours: float, theirs: float | None, **changed: Any) -> Any:
        asked = replace(PLAIN, case=replace(TINY, hidden=hidden, **changed), targets=())
        return asked, [
            gpu.EntrantTiming("longlag", milliseconds=ours),
            gpu.EntrantTiming("nn.LSTM", milliseconds=theirs),
        ]

    results = [
        measured(32, 1.0, 2.0),
        measured(128, 1.0, 2.0),
        measured(128, 1.0, 0.9, samples=9),  # one batch of that size is enough to stop here
        measured(64, 1.0, 2.0),
        measured(256, 1.0, 2.0),
        measured(512, 2.0, None),  # was wrong, so not timed
        measured(32, 1.0, 0.5, work="inference"),
        measured(32, 1.0, 0.5, cell=CellSpec(peepholes=True)),
        measured(32, 2.0, 1.0, dtype=torch.float64),
    ]
    assert gpu_report.faster_up_to(results) == {"float32": 64, "float64": 0}


def test_the_floor_is_the_largest_of_bytes_operations_and_dependent_steps() -> None:
    case = replace(TINY, steps=1000, samples=1000, inputs=4, hidden=8)
    for work, passes in (("training", 2), ("inference", 1)):
        asked = replace(PLAIN, case=replace(case, work=work), targets=())
        found = [gpu.EntrantTiming("longlag", milliseconds=10.0)]
        one = gpu_report.document([(asked, found)], [], MACHINE, quick=True, seconds=1.0)["cases"][0]
        floor = one["floor_ms"]
        assert floor["steps"] == pytest.approx(passes * 1000 * 0.5e-3)
        assert floor["bytes"] == pytest.approx(asked.case.traffic / 4e12 * 1e3)
        assert floor["operations"] == pytest.approx(asked.case.operations / 5e13 * 1e3)
        assert one["entrants"][0]["share_of_floor"] == pytest.approx(max(floor.values()) / 10.0)
        assert one["entrants"][0]["step_microseconds"] == pytest.approx(10.0)


@interpreted
def test_the_device_is_described() -> None:
    found = gpu_machine.describe("cpu")
    assert set(found) == set(MACHINE)
    assert all(rate > 0 for rate in found["product_gflops"].values())
    assert found["step_microseconds"] > 0


@interpreted
def test_the_callers_arithmetic_is_afterwards_as_before() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    for numbers in DTYPE:
        with gpu_runner.arithmetic(numbers):
            assert (torch.get_float32_matmul_precision() == "medium") == (numbers == "tf32")
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


@interpreted
@pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="this PyTorch has no such setting"
)
def test_arithmetic_set_by_pytorchs_newer_setting_is_afterwards_as_before() -> None:
    matmul, rnn = torch.backends.cuda.matmul, torch.backends.cudnn.rnn
    before = matmul.fp32_precision, rnn.fp32_precision
    matmul.fp32_precision, rnn.fp32_precision = "tf32", "ieee"  # after this the older settings cannot be read
    try:
        for numbers in DTYPE:
            with gpu_runner.arithmetic(numbers):
                assert {matmul.fp32_precision, rnn.fp32_precision} <= (
                    {"tf32"} if numbers == "tf32" else {"ieee", "none"}
                )
            assert (matmul.fp32_precision, rnn.fp32_precision) == ("tf32", "ieee")
    finally:
        matmul.fp32_precision, rnn.fp32_precision = before
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("quick", [True, False])
def test_the_cases_hold_the_targets_that_were_set(quick: bool) -> None:
    cases = gpu_cases.gpu_cases(quick=quick)
    assert {case.numbers for case in cases} == set(DTYPE)
    for case in cases:
        assert {target.who for target in case.targets} | {target.peer for target in case.targets} <= set(case.entrants)
    plain = {target.ratio for case in cases if case.case.cell == CellSpec() for target in case.targets}
    assert plain == {1.0, 2.0, 3.0}
    others = [target for case in cases if case.case.cell != CellSpec() for target in case.targets]
    assert {(target.ratio, target.cost) for target in others} == {(1.2, True), (20.0, False)}
    assert len({case.title for case in cases}) == len(cases)
    assert [case.hidden for case in gpu_cases.sweep_cases(quick=quick)] == sorted(
        case.hidden for case in gpu_cases.sweep_cases(quick=quick)
    )


@pytest.mark.gpu
def test_on_a_gpu_the_command_writes_what_it_measured(tmp_path: Path) -> None:
    answer = longlag("bench", "gpu", "--quick", "--out", str(tmp_path))
    assert answer.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"bench_gpu.json", "bench_gpu.md"}
