""" "auto" takes the GPU kernels where a launch was seen to succeed: what is recorded, who reads it, what is said."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from longlag import CellSpec
from longlag.errors import InputError
from longlag.ops import select
from longlag.ops.engine import Request
from longlag.ops.paths import FULL
from longlag.ops.triton import crossover, verification
from longlag.ops.triton.engine import TritonEngine

GPU = torch.device("cuda", 0)
needs_triton = pytest.mark.skipif("triton" not in select.ENGINES, reason="Triton is not here, or too old")


class Machine:
    """A machine with GPUs that there are not, and a cache directory of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, caches: Path) -> None:
        self.monkeypatch, self.file = monkeypatch, caches / "longlag" / "gpu_launches.json"
        monkeypatch.setenv("XDG_CACHE_HOME", str(caches))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: self.names[device.index])
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: self.capability)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(self.names))
        monkeypatch.setattr(verification, "_driver", lambda: self.driver)
        monkeypatch.setattr(verification.shutil, "which", lambda name: self.compiler)
        monkeypatch.delenv("CC", raising=False)
        self.names, self.capability, self.driver = ["NVIDIA H200"], (9, 0), "570"
        self.compiler: str | None = "/usr/bin/gcc"

    def as_a_new_process(self) -> None:
        for cached in (verification.is_verified, verification.obstacle, verification._warn_once):
            cached.cache_clear()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    made = Machine(monkeypatch, tmp_path)
    made.as_a_new_process()
    yield made
    made.as_a_new_process()


def chosen(monkeypatch: pytest.MonkeyPatch, spec: CellSpec) -> str:
    """What "auto" takes for a tensor on the machine's first GPU."""
    monkeypatch.setattr(select.crossover, "suits", lambda inputs: verification.is_trusted(GPU))
    monkeypatch.setattr(TritonEngine, "takes", lambda self, inputs: inputs.device.type == "meta")
    return select.backend_for("auto", Request(spec, FULL, torch.zeros(3, 2, 4, device="meta"), 8))


automatic = pytest.mark.skipif(select.DEFAULT != "auto", reason='LONGLAG_BACKEND says what "auto" stands for')

# -- which engine ----------------------------------------------------------------------------------------------------


@automatic
@needs_triton
def test_where_no_launch_was_seen_auto_takes_the_next_engine_and_says_once_what_to_type(machine, monkeypatch) -> None:
    with pytest.warns(UserWarning, match=r"^backend 'auto' leaves out .* on NVIDIA H200: .* type `longlag info`"):
        assert chosen(monkeypatch, CellSpec.graves2005()) == "bptt"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chosen(monkeypatch, CellSpec.graves2005()) == "bptt"


@automatic
@needs_triton
def test_the_plain_cell_that_cudnn_runs_anyway_is_taken_there_without_a_word(machine, monkeypatch) -> None:
    assert chosen(monkeypatch, CellSpec()) == "torch"


@automatic
@needs_triton
def test_where_a_launch_was_seen_auto_takes_the_kernels_in_this_process_and_in_others(machine, monkeypatch) -> None:
    with pytest.warns(UserWarning, match="leaves out"):
        chosen(monkeypatch, CellSpec.graves2005())
    verification.record(GPU, 3e-7)
    assert chosen(monkeypatch, CellSpec.graves2005()) == "triton"
    machine.as_a_new_process()
    assert chosen(monkeypatch, CellSpec.graves2005()) == "triton"
    (entry,) = json.loads(machine.file.read_text()).values()
    assert entry["largest_error"] == 3e-7


def _updated(package: str) -> Callable[[str], str | None]:
    version = verification._version
    return lambda name: "99.0" if name == package else version(name)


CHANGES: dict[str, Callable[[Machine], None]] = {
    "another driver": lambda machine: setattr(machine, "driver", "999"),
    "another device": lambda machine: setattr(machine, "names", ["NVIDIA H100"]),
    "another capability": lambda machine: setattr(machine, "capability", (10, 0)),
    "another PyTorch": lambda machine: machine.monkeypatch.setattr(torch, "__version__", "99.0"),
    "another Triton": lambda machine: machine.monkeypatch.setattr(verification, "_version", _updated("triton")),
    "another longlag": lambda machine: machine.monkeypatch.setattr(verification, "_version", _updated("longlag")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_launch_seen_holds_for_its_own_environment_alone(change: Callable[[Machine], None], machine) -> None:
    verification.record(GPU, 0.0)
    machine.as_a_new_process()
    assert verification.is_trusted(GPU)
    change(machine)
    machine.as_a_new_process()
    with pytest.warns(UserWarning, match="leaves out"):
        assert not verification.is_trusted(GPU)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\xff"])
def test_a_damaged_record_is_none_and_is_written_anew(content: str, machine) -> None:
    machine.file.parent.mkdir()
    machine.file.write_text(content, encoding="latin-1")
    assert not verification.is_verified(GPU)
    verification.record(GPU, 0.0)
    assert verification.is_verified(GPU)


def test_a_record_that_cannot_be_replaced_stays_as_it_was_and_nothing_lies_beside_it(machine, monkeypatch) -> None:
    verification.record(GPU, 0.0)
    before = machine.file.read_text()
    machine.names = ["NVIDIA H100"]

    def full(self: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        verification.record(GPU, 0.0)
    assert machine.file.read_text() == before
    assert list(machine.file.parent.iterdir()) == [machine.file]
    assert not verification.is_verified(GPU)


class OnGpu(SimpleNamespace):
    """As much of a tensor as a choice looks at."""

    is_cuda, dtype, device = True, torch.float32, GPU


def test_only_tensors_that_the_kernels_take_ask_for_the_record(machine, monkeypatch) -> None:
    verification.record(GPU, 0.0)
    assert not crossover.suits(OnGpu())  # a class that is not PyTorch's own
    monkeypatch.setattr(crossover, "Tensor", OnGpu)
    assert crossover.suits(OnGpu())
    assert not crossover.suits(OnGpu(dtype=torch.int32))
    machine.names = ["NVIDIA H100"]
    machine.as_a_new_process()
    assert not crossover.suits(OnGpu(is_cuda=False))  # no warning: it was not asked
    with pytest.warns(UserWarning, match="NVIDIA H100"):
        assert not crossover.suits(OnGpu())


# -- what is in the way ----------------------------------------------------------------------------------------------

OBSTACLES: dict[str, tuple[Callable[[Machine], None], str]] = {
    "old": (
        lambda machine: vars(machine).update(capability=(7, 0), names=["Tesla V100"]),
        "Tesla V100 has compute capability 7.0; expected 7.5 or more",
    ),
    "ROCm": (
        lambda machine: machine.monkeypatch.setattr(torch.version, "hip", "6.4"),
        "PyTorch is built for ROCm here; expected one for CUDA",
    ),
    "no compiler": (
        lambda machine: setattr(machine, "compiler", None),
        "Triton finds no C compiler; expected gcc or clang, or the path of one in the environment variable CC",
    ),
}
with_obstacles = pytest.mark.parametrize(("put", "sentence"), OBSTACLES.values(), ids=OBSTACLES)


@with_obstacles
def test_a_device_that_cannot_is_left_out_by_auto_with_the_reason(put, sentence: str, machine) -> None:
    put(machine)
    with pytest.warns(UserWarning, match=f": {re.escape(sentence)}$"):
        assert not verification.is_trusted(GPU)


@with_obstacles
@needs_triton
def test_a_device_that_cannot_refuses_the_kernels_by_name_with_the_reason(put, sentence, machine, monkeypatch) -> None:
    from longlag.ops.triton import layer

    monkeypatch.setattr(layer, "INTERPRETED", False)
    layer.check_device(OnGpu())  # by name they run unseen, and without a word
    put(machine)
    machine.as_a_new_process()
    with pytest.raises(InputError) as caught:
        layer.check_device(OnGpu())
    assert str(caught.value) == f"backend 'triton' cannot run here: {sentence}"


def test_what_was_compiled_once_needs_no_compiler_again(machine) -> None:
    verification.record(GPU, 0.0)
    machine.compiler = None
    machine.as_a_new_process()
    assert verification.obstacle(GPU) == ""


def test_a_compiler_may_be_named_by_the_environment(machine, monkeypatch) -> None:
    machine.compiler = None
    monkeypatch.setenv("CC", "/opt/cc")
    assert verification.obstacle(GPU) == ""


# -- what longlag info does ------------------------------------------------------------------------------------------


@pytest.fixture
def trial(machine, monkeypatch: pytest.MonkeyPatch):
    """The trial of a launch, which runs on the CPU, in Triton's interpreter, for whatever device it is asked."""
    pytest.importorskip("triton", minversion="3.4")
    import ops.fast_interpreter  # noqa: F401
    from longlag.ops.triton import launch, trial

    if not launch.INTERPRETED:
        pytest.skip("for the interpreter, which takes the CPU's tensors")
    largest_error = trial.largest_error
    monkeypatch.setattr(trial, "SAMPLES", 3)
    monkeypatch.setattr(trial, "INTERPRETED", False)
    monkeypatch.setattr(trial, "largest_error", lambda device: largest_error(torch.device("cpu")))
    return trial


@pytest.mark.interpreter
def test_a_trial_that_succeeds_is_recorded_and_said(trial, machine) -> None:
    line = verification.report()
    assert line.startswith("a launch on NVIDIA H200 succeeded (")
    assert line.endswith("from the definition); backend 'auto' takes them")
    machine.as_a_new_process()
    assert verification.is_verified(GPU)


@pytest.mark.interpreter
def test_a_wrong_gradient_fails_the_trial_and_takes_an_older_success_back(trial, machine, monkeypatch) -> None:
    from longlag.ops.triton import layer

    right = layer.weight_gradients

    def wrong(*given):
        gradients = right(*given)
        return gradients._replace(peephole=gradients.peephole * 1.001)

    verification.record(GPU, 0.0)
    monkeypatch.setattr(layer, "weight_gradients", wrong)
    line = verification.report()
    assert line.startswith("a launch on NVIDIA H200 failed: a result is ")
    assert line.endswith("from the definition; expected at most 1e-05; backend 'auto' leaves them out")
    assert not verification.is_verified(GPU)
    assert json.loads(machine.file.read_text()) == {}


@pytest.mark.parametrize("error", [float("nan"), float("inf"), 1.0])
def test_a_result_that_is_no_number_fails_the_trial(error: float, trial, monkeypatch) -> None:
    monkeypatch.setattr(trial, "largest_error", lambda device: error)
    assert " failed: a result is " in verification.report()
    assert not verification.is_verified(GPU)


def test_a_launch_that_raises_fails_the_trial_with_its_first_line(trial, monkeypatch) -> None:
    def refuse(device: torch.device) -> float:
        raise RuntimeError("no kernel image is available\nCUDA kernel errors might be ...")

    monkeypatch.setattr(trial, "largest_error", refuse)
    assert verification.report() == (
        "a launch on NVIDIA H200 failed: RuntimeError: no kernel image is available; backend 'auto' leaves them out"
    )
    assert not verification.is_verified(GPU)


@with_obstacles
def test_nothing_is_tried_on_a_device_that_cannot(put, sentence: str, trial, machine, monkeypatch) -> None:
    monkeypatch.setattr(trial, "largest_error", None)
    put(machine)
    assert verification.report() == (
        f"a launch on {machine.names[0]} failed: {sentence}; backend 'auto' leaves them out"
    )


def test_interpreted_kernels_prove_nothing(trial, monkeypatch) -> None:
    monkeypatch.setattr(trial, "INTERPRETED", True)
    assert "TRITON_INTERPRET is set" in verification.report()
    assert not verification.is_verified(GPU)


def test_each_kind_of_device_is_tried_once(trial, machine, monkeypatch) -> None:
    machine.names, tried = ["NVIDIA H200", "NVIDIA T4", "NVIDIA H200"], []
    monkeypatch.setattr(trial, "largest_error", lambda device: tried.append(device.index) or 0.0)
    line = verification.report()
    assert tried == [0, 1]
    assert line.count("succeeded") == 2


def test_a_success_that_cannot_be_written_down_is_said(trial, machine, monkeypatch) -> None:
    machine.file.parent.write_text("a file where the folder should be")
    monkeypatch.setattr(trial, "largest_error", lambda device: 0.0)
    line = verification.report()
    assert line.startswith(f"a launch on NVIDIA H200 succeeded (0e+00 from the definition); {machine.file} cannot be ")
    assert not verification.is_verified(GPU)


def test_without_a_gpu_or_without_triton_nothing_is_tried(machine, monkeypatch) -> None:
    monkeypatch.setattr(verification.importlib.util, "find_spec", lambda name: None)
    assert verification.report() == "not tried: Triton is not installed"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert verification.report() == "not tried: PyTorch sees no CUDA device"


@needs_triton
@pytest.mark.gpu
def test_on_a_device_a_trial_succeeds_and_auto_takes_the_kernels(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    verification.is_verified.cache_clear()
    try:
        assert "succeeded" in verification.report()
        values = torch.zeros(3, 2, 4, device="cuda")
        assert select.backend_for("auto", CellSpec.graves2005(), FULL, values, 8) == "triton"
    finally:
        verification.is_verified.cache_clear()
