"""Which engine runs: the fastest that can, the one that was asked for, and never another in silence."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator

import pytest
import torch
from torch.autograd import forward_ad

from equivalence.engines import BUILT, NATIVE, automatic, needs_kernels
from longlag import LSTM, CellSpec
from longlag.errors import InputError
from longlag.ops import select
from longlag.ops.checkpointing import Checkpointed
from longlag.ops.engine import Request
from longlag.ops.paths import FULL, TRUNCATED
from longlag.ops.select import backend_for, check_backend, with_checkpoints
from longlag.ops.triton.engine import TritonEngine

PLAIN, RICH = CellSpec(), CellSpec.graves2005()


def chosen(backend: str = "auto", spec: CellSpec = PLAIN, dtype: torch.dtype = torch.float32, paths=FULL) -> str:
    return which(backend, spec, paths, torch.zeros(3, 2, 4, dtype=dtype), 8)


def which(backend, spec, paths, inputs, hidden, tensors=()) -> str:
    return backend_for(backend, Request(spec, paths, inputs, hidden, tensors))


def in_a_sentence(error: Exception) -> bool:
    text = str(error)
    return "\n" not in text and ". " not in text and len(text) < 300


# -- "auto" --------------------------------------------------------------------------------------------------------


@automatic
@needs_kernels
@pytest.mark.parametrize("spec", [PLAIN, RICH, CellSpec.batch2013(), CellSpec.hochreiter1997()], ids=str)
@pytest.mark.parametrize("paths", [FULL, TRUNCATED], ids=["full", "truncated"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_kernels_run_any_cell_in_float32_and_float64_on_the_cpu(spec, paths, dtype) -> None:
    assert chosen("auto", spec, dtype, paths) in NATIVE


@automatic
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_number_types_run_in_pytorch(dtype: torch.dtype) -> None:
    assert chosen("auto", PLAIN, dtype) == "torch"
    assert chosen("auto", RICH, dtype) == "bptt"
    assert chosen("auto", PLAIN, dtype, TRUNCATED) == "bptt"


@automatic
@pytest.mark.filterwarnings(r"ignore:`torch.jit.\w+` is deprecated:DeprecationWarning")
def test_where_pytorch_must_see_each_operation_the_reference_runs() -> None:
    seen = []

    def look(values: torch.Tensor) -> torch.Tensor:
        seen.append(which("auto", PLAIN, FULL, values, 8))
        return values.sum()

    values, weight = torch.zeros(3, 2, 4), torch.zeros(5)
    for transform in (torch.func.grad, torch.func.vmap, torch.func.jacrev, torch.func.jacfwd):
        transform(look)(values)
    torch.func.jvp(look, (values,), (values,))
    with forward_ad.dual_level():
        look(forward_ad.make_dual(values, values))
        tangent = [forward_ad.make_dual(weight, weight)]
        seen.append(which("auto", PLAIN, FULL, values, 8, tangent))
        assert set(seen) == {"reference"}
        assert which("auto", PLAIN, FULL, values, 8, [weight]) != "reference"  # an open level is no tangent
    assert chosen() != "reference"


@needs_kernels
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_lanes_are_filled_with_samples_in_small_nets_and_with_units_in_large_ones(wide: bool) -> None:
    dtype = torch.float64 if wide else torch.float32
    for hidden, samples, expected in (
        (2, 1000, "native-samples"),
        (512, 1000, "native-units"),
        (64, 1, "native-units"),
    ):
        for backend in ("native", *(["auto"] if select.DEFAULT == "auto" else [])):
            inputs = torch.empty(1, samples, 4, dtype=dtype)
            assert which(backend, PLAIN, FULL, inputs, hidden) == expected


def test_a_layer_says_which_engine_will_run() -> None:
    values = torch.zeros(3, 2, 4)
    for backend in ("bptt", "reference", "torch", *BUILT):
        assert LSTM(4, 8, backend=backend).backend_for(values) == backend


@automatic
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_on_a_gpu_cudnn_runs_the_plain_cell_and_triton_every_other(dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(select.ENGINES, "triton", TritonEngine())
    monkeypatch.setattr(TritonEngine, "takes", lambda self, inputs: inputs.device.type == "meta")
    monkeypatch.setattr(select.crossover, "suits", lambda inputs: inputs.device.type == "meta")
    monkeypatch.setattr(select.crossover, "FASTER_UP_TO", {torch.bfloat16: 8})
    values = torch.zeros(3, 2, 4, dtype=dtype, device="meta")
    measured_faster = dtype == torch.bfloat16
    assert which("auto", PLAIN, FULL, values, 8) == ("triton" if measured_faster else "torch")
    assert which("auto", PLAIN, FULL, values, 9) == "torch"
    assert which("auto", RICH, FULL, values, 8) == "triton"
    assert which("auto", PLAIN, TRUNCATED, values, 8) == "triton"
    monkeypatch.delitem(select.ENGINES, "triton")
    assert which("auto", RICH, FULL, values, 8) == "bptt"


@pytest.mark.parametrize(
    ("version", "why"), [(None, "Triton is not installed"), ("3.3.1", "Triton 3.3.1 is older than 3.4")]
)
def test_triton_that_cannot_compile_the_kernels_is_refused_with_how_to_get_one_that_can(
    version: str | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: version)
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)
    monkeypatch.delitem(select.ENGINES, "triton", raising=False)
    with pytest.raises(InputError) as caught:
        LSTM(4, 8, backend="triton")
    assert str(caught.value) == (f"backend is 'triton', but {why}; expected another, or `pip install --upgrade triton`")
    assert in_a_sentence(caught.value)


@pytest.mark.parametrize("version", ["3.4.0", "3.10.0+git1234", "4.0"])
def test_a_triton_that_is_new_enough_is_no_obstacle(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: version)
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)
    assert select._without_triton() == ""


# -- by name -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cuda", "Reference", "", "native-", "nativ"])
def test_an_unknown_engine_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(InputError) as caught:
        LSTM(4, 8, backend=name)
    if name.startswith("native") and not BUILT:
        return  # then it is refused for want of any
    assert str(caught.value).startswith(f"backend is {name!r}; expected one of auto, native, reference, bptt, torch")
    assert in_a_sentence(caught.value)


@needs_kernels
@pytest.mark.parametrize("backend", ["native", *NATIVE])
def test_the_kernels_refuse_number_types_that_they_have_not(backend: str) -> None:
    with pytest.raises(InputError) as caught:
        LSTM(4, 8, backend=backend, dtype=torch.bfloat16)(torch.zeros(3, 2, 4, dtype=torch.bfloat16))
    assert str(caught.value) == (
        f"backend {backend!r} runs float32 and float64 on the CPU; the input is torch.bfloat16 on cpu"
    )


@pytest.mark.parametrize("name", ["reference", "bptt", "torch", *BUILT])
def test_an_engine_is_its_own_and_with_checkpoints_one_of_the_same_kind(name: str) -> None:
    engine = select.ENGINES[name]
    assert with_checkpoints(engine, 0) is engine
    spaced = with_checkpoints(engine, 3)
    if name in NATIVE:
        assert spaced is engine  # which has its own
    else:
        assert isinstance(spaced, Checkpointed)
        assert (spaced.engine, spaced.name) == (engine, name)


# -- without the compiled module -----------------------------------------------------------------------------------


@pytest.fixture
def nothing_built(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(select, "native", None)
    monkeypatch.setattr(select, "DEFAULT", "auto")
    for name in NATIVE:
        monkeypatch.delitem(select.ENGINES, name, raising=False)
    monkeypatch.setitem(sys.modules, "longlag._native", None)  # what Python takes for "there is none"
    told = select._warn_once.cache_info().currsize
    select._warn_once.cache_clear()
    yield
    select._warn_once.cache_clear()
    if told:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            select._warn_once()


@pytest.mark.parametrize("backend", ["native", *NATIVE])
def test_kernels_that_are_not_built_are_refused_with_how_to_get_them(nothing_built, backend: str) -> None:
    with pytest.raises(InputError) as caught:
        LSTM(4, 8, backend=backend)
    assert str(caught.value) == (
        f"backend is {backend!r}, but the compiled extension is not built, so all runs in PyTorch; "
        "to build it, install a C++17 compiler and reinstall longlag"
    )
    assert select.native_status() in str(caught.value)


def test_without_kernels_auto_says_so_once_and_runs_in_pytorch(nothing_built) -> None:
    values = torch.randn(3, 2, 4)
    plain, rich = LSTM(4, 8), LSTM(4, 8, cell=RICH)
    with pytest.warns(UserWarning, match="kernels are not built.*install a C") as caught:
        output, _ = plain(values)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert (plain.backend_for(values), rich.backend_for(values)) == (
        "torch",
        "bptt",
    )  # a second warning would be raised
    assert rich(values)[0].shape == output.shape


# -- LONGLAG_BACKEND -----------------------------------------------------------------------------------------------

# What depends on the variables that a process starts with, asked in one: importing PyTorch takes seconds.
PROGRAM = """
import torch
from longlag import LSTM, CellSpec
from longlag.errors import InputError

values = torch.zeros(3, 2, 4)
for cell in (CellSpec(), CellSpec.graves2005()):
    lstm = LSTM(4, 8, cell=cell)
    lstm(values)
    print(lstm.backend_for(values))
print(LSTM(4, 8, backend="bptt").backend_for(values))
try:
    LSTM(4, 8, backend="triton")(values)
except InputError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def with_the_variable() -> list[str]:
    """The lines of the program, with an engine in LONGLAG_BACKEND and without Triton's interpreter."""
    variables = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**variables, "LONGLAG_BACKEND": "reference"},
        capture_output=True,
        text=True,
        check=True,
    )
    return child.stdout.splitlines()


@pytest.mark.processes
def test_the_environment_variable_names_the_engine_that_auto_stands_for(with_the_variable: list[str]) -> None:
    assert with_the_variable[:3] == ["reference", "reference", "bptt"]


@pytest.mark.processes
def test_triton_without_a_gpu_is_refused_with_what_it_runs_on(with_the_variable: list[str]) -> None:
    installed = "backend 'triton' runs float32, float64, bfloat16, float16 on CUDA; the input is torch.float32 on cpu"
    (line,) = with_the_variable[3:]
    assert line.startswith(installed if "triton" in select.ENGINES else "backend is 'triton', but Triton ")


def test_a_wrong_environment_variable_is_refused_with_the_values_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "DEFAULT", "fast")
    with pytest.raises(InputError) as caught:
        LSTM(4, 8)
    assert str(caught.value).startswith(
        "the environment variable LONGLAG_BACKEND is 'fast'; expected one of auto, native, reference, bptt"
    )


@pytest.mark.parametrize("default", ["native", *NATIVE])
@needs_kernels
def test_a_default_engine_is_held_to_what_it_can_do(default: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "DEFAULT", default)
    assert chosen("auto", RICH) in NATIVE
    with pytest.raises(InputError, match=r"runs float32 and float64 on the CPU; the input is torch\.bfloat16"):
        chosen("auto", RICH, torch.bfloat16)


def test_a_default_engine_that_cannot_run_a_cell_refuses_it_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "DEFAULT", "torch")
    check_backend("auto", PLAIN, FULL)
    with pytest.raises(InputError) as caught:
        check_backend("auto", RICH, FULL)
    assert in_a_sentence(caught.value)


@pytest.mark.parametrize("default", ["native", *NATIVE])
def test_a_default_engine_that_is_not_built_is_refused_in_a_sentence(
    nothing_built, default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "DEFAULT", default)
    with pytest.raises(InputError) as caught:
        LSTM(4, 8)(torch.zeros(3, 2, 4))
    assert in_a_sentence(caught.value)
    assert "float32 and float64" not in str(caught.value)  # the number type is not what is wrong
