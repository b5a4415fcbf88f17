"""The GPU kernels against the float64 reference: in Triton's interpreter, and with ``-m gpu`` on a device."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from equivalence.compare import EXACT, Layer, answers_and_gradients, distance
from equivalence.specs import PATHS, layer_calls
from longlag import LSTM, CellSpec
from longlag.errors import InputError
from longlag.ops import reference, select
from longlag.ops.engine import LayerCall, Request
from longlag.ops.layer import State
from longlag.ops.paths import FULL, TRUNCATED
from ops.examples import CELLS, example

pytest.importorskip("triton", minversion="3.4")
import ops.fast_interpreter  # noqa: F401
from longlag.ops.triton import launch
from longlag.ops.triton.geometry import Geometry, geometry
from longlag.ops.triton.launch import INTERPRETED
from longlag.ops.triton.launch_config import (
    CHUNK,
    Chip,
    LaunchConfig,
    Rounding,
    default_config,
    fits_on_one_sm,
    product_rounding,
)
from longlag.ops.triton.layer import can_run, layer
from ops.gpu_calls import a_call, assert_equal_to_the_reference, moved

pytestmark = pytest.mark.interpreter
DEVICES = [
    pytest.param("cpu", marks=pytest.mark.skipif(not INTERPRETED, reason="the kernels were compiled for the GPU")),
    pytest.param("cuda", marks=pytest.mark.gpu),
]
on_every_device = pytest.mark.parametrize("device", DEVICES)
both_ways = pytest.mark.parametrize("resident", [True, False], ids=["one launch", "step by step"])


@pytest.fixture(params=["highest", "high", "medium"])
def precision(request: pytest.FixtureRequest) -> str:
    """Products of float32 as sums of products, or on tensor cores; the interpreter rounds all the same."""
    return request.param


def take_several_samples_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact products too, of which a program has one sample else: ragged lengths then meet in one program."""
    default = launch.default_config

    def several(geo: Geometry, dtype: torch.dtype, rounding: Rounding, resident: bool, chip: Chip) -> LaunchConfig:
        config = default(geo, dtype, rounding, resident, chip)
        return config._replace(samples=4) if resident and not config.dot else config

    monkeypatch.setattr(launch, "default_config", several)


@pytest.fixture
def float32_settings() -> Iterator[None]:
    """The precision of float32 products as in a new process; whichever way a test sets it, the next one finds it so."""
    _as_in_a_new_process()
    yield
    _as_in_a_new_process()
    assert torch.get_float32_matmul_precision() == "highest"


def _as_in_a_new_process() -> None:
    torch.set_float32_matmul_precision("highest")
    for room in (torch.backends, torch.backends.cuda.matmul, torch.backends.mkldnn.matmul):
        room.fp32_precision = "none"


# -- the same answers ----------------------------------------------------------------------------------------------


@on_every_device
@both_ways
@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(call=layer_calls(), paths=st.sampled_from(PATHS))
def test_any_cell_on_any_ragged_batch_answers_as_the_reference(call, paths, device, resident) -> None:
    assert_equal_to_the_reference(call, paths, device, resident=resident)


OPTIONS = {
    **CELLS,
    "no input gate": CellSpec(input_gate=False, peepholes=True),
    "no forget gate": CellSpec(forget_gate=False),
    "no output gate": CellSpec(output_gate=False, gate_recurrence=True),
    "no gate": CellSpec(input_gate=False, forget_gate=False, output_gate=False),
    "blocks of three": CellSpec(cells_per_block=3, peepholes=True, gate_recurrence=True, conventional_units=2),
    "no recurrence": CellSpec(recurrence=False, peepholes=True, conventional_units=1),
    "other squashings": CellSpec(input_squash="identity", output_squash="logistic", unit_squash="tanh", sharpness=0.7),
}


@on_every_device
@both_ways
@pytest.mark.parametrize("paths", [FULL, TRUNCATED], ids=["full", "truncated"])
@pytest.mark.parametrize("spec", OPTIONS.values(), ids=OPTIONS)
def test_every_option_has_the_references_answers_and_gradients(spec, paths, resident, device, monkeypatch) -> None:
    if paths == TRUNCATED:
        take_several_samples_a_program(monkeypatch)
    call = a_call(spec, samples=4, hidden=6, lengths=[3, 0, 1, 3])
    assert_equal_to_the_reference(call, paths, device, resident=resident)


SIZES = {
    "one of all": {"steps": 1, "samples": 1, "inputs": 1, "hidden": 1},
    "no step": {"steps": 0},
    "no sample": {"samples": 0},
    "all empty": {"lengths": [0, 0]},
    "63 cells": {"hidden": 63, "samples": 1},
    "17 cells": {"hidden": 17, "steps": 2},
    "several batch tiles": {"samples": 9, "lengths": [3, 0, 1, 2, 3, 3, 0, 0, 1]},
}


@on_every_device
@both_ways
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("spec", [CellSpec(), CellSpec.graves2005()], ids=["plain", "peepholes"])
def test_awkward_sizes_are_as_right_as_others(spec, size, resident, device) -> None:
    assert_equal_to_the_reference(a_call(spec, **size), FULL, device, resident=resident)


@on_every_device
@both_ways
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("spec", CELLS.values(), ids=CELLS)
def test_shorter_types_are_as_near_as_their_rounding(spec, dtype, resident, device) -> None:
    call = a_call(spec, samples=3, steps=4, hidden=8, lengths=[4, 2, 3])
    assert_equal_to_the_reference(call, FULL, device, dtype, resident=resident)


@on_every_device
@pytest.mark.parametrize("spec", CELLS.values(), ids=CELLS)
def test_tensor_cores_compute_what_sums_of_products_do(spec, precision, device) -> None:
    before = torch.get_float32_matmul_precision()
    samples = 3 if precision == "highest" else 18  # more than one tile of either
    call = a_call(spec, samples=samples, hidden=8, lengths=[n % 4 for n in range(samples)])
    torch.set_float32_matmul_precision(precision)
    try:
        if precision == "medium" and device == "cuda":
            pytest.skip("tf32 has ten bits")
        assert_equal_to_the_reference(call, FULL, device, torch.float32, resident=True)
    finally:
        torch.set_float32_matmul_precision(before)


NEW_SETTINGS = pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="this PyTorch knows the older setting alone"
)


def _of_all(value: str) -> None:
    torch.backends.fp32_precision = value


def _of_products(value: str) -> None:
    torch.backends.cuda.matmul.fp32_precision = value


def _allowed(value: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = value


SET_IN_TURN = {
    "new, everywhere": ([(_of_all, "tf32")], "tf32"),
    "new, of products": ([(_of_products, "tf32")], "tf32"),
    "new, exact": ([(_of_products, "ieee")], "ieee"),
    "new, products exact and the rest not": ([(_of_all, "tf32"), (_of_products, "ieee")], "ieee"),
    "new, then taken back": ([(_of_products, "tf32"), (_of_products, "none")], "ieee"),
    "old, then exact by the new": ([(torch.set_float32_matmul_precision, "medium"), (_of_products, "ieee")], "ieee"),
    "new, then the old": ([(_of_products, "tf32"), (torch.set_float32_matmul_precision, "highest")], "ieee"),
    "oldest": ([(_allowed, True)], "tf32x3"),
    "old": ([(torch.set_float32_matmul_precision, "high")], "tf32x3"),
}


@NEW_SETTINGS
@pytest.mark.parametrize(("settings", "rounding"), SET_IN_TURN.values(), ids=SET_IN_TURN)
def test_products_are_rounded_as_the_last_setting_says_whichever_way_it_was_made(
    settings, rounding: str, float32_settings
) -> None:
    for setter, value in settings:
        setter(value)
    assert product_rounding(torch.float32) == rounding


@NEW_SETTINGS
@on_every_device
@pytest.mark.parametrize("setter", [_of_all, _of_products])
def test_after_the_recommended_setting_of_tf32_a_layer_answers_as_the_reference(
    setter, device, float32_settings
) -> None:
    setter("tf32")
    if device == "cuda":
        pytest.skip("tf32 has ten bits")
    call = a_call(CellSpec.graves2005(), samples=18, hidden=8, lengths=[n % 4 for n in range(18)])
    assert_equal_to_the_reference(call, FULL, device, torch.float32, resident=True)


@on_every_device
@both_ways
@pytest.mark.parametrize("spec", [CellSpec(), CellSpec.batch2013(), CellSpec(conventional_units=3)], ids=str)
@pytest.mark.parametrize("paths", [FULL, TRUNCATED], ids=["full", "truncated"])
def test_a_projection_has_the_references_gradients(spec, paths, resident, device, monkeypatch) -> None:
    if paths == TRUNCATED:
        take_several_samples_a_program(monkeypatch)
    for lengths in (None, [3, 0, 2]):
        call = a_call(spec, samples=3, hidden=6, projection=4, lengths=lengths)
        assert_equal_to_the_reference(call, paths, device, resident=resident)


@on_every_device
def test_a_layer_of_several_chunks_of_cells_is_right(device) -> None:
    spec = CellSpec(cells_per_block=2, peepholes=True, gate_recurrence=True, conventional_units=3)
    call = a_call(spec, steps=2, samples=9, hidden=2 * 66, lengths=[2, 1, 0, 2, 2, 1, 2, 2, 1], size=0.1)
    assert_equal_to_the_reference(call, FULL, device, resident=False)


@on_every_device
@both_ways
def test_padding_is_never_read(resident, device) -> None:
    call = moved(a_call(CellSpec.batch2013(), samples=3, lengths=[1, 3, 2]), device, torch.float64)
    engine = functools.partial(layer, resident=resident)
    expected = answers_and_gradients(engine, call, FULL)
    padding = torch.arange(3, device=device)[:, None] >= call.lengths
    call.d_outputs[padding] = torch.nan
    found = answers_and_gradients(engine, call, FULL)
    for ours, theirs in zip(found, expected, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


@on_every_device
@both_ways
def test_without_gradients_the_outputs_are_the_same(resident, device) -> None:
    call = moved(a_call(CellSpec.batch2013(), samples=3, lengths=[1, 3, 2]), device, torch.float64)
    given = call.along(FULL)
    with torch.no_grad():
        outputs, final = layer(given, resident=resident)
    call.inputs.requires_grad_()
    again, last = layer(given, resident=resident)
    assert distance([outputs, *final], [again, *last]) <= EXACT  # another kernel: a compiler may round it otherwise


@on_every_device
@both_ways
def test_what_is_given_is_left_as_it_was(resident, device) -> None:
    call = moved(example(CELLS["2013"]), device, torch.float64)
    tensors = [*call.leaves(), call.d_outputs, *call.d_state]
    before = [tensor.clone() for tensor in tensors]
    answers_and_gradients(functools.partial(layer, resident=resident), call, FULL)
    assert all(torch.equal(one, other) for one, other in zip(tensors, before, strict=True))


@on_every_device
def test_a_gradient_can_be_differentiated_again(device) -> None:
    call = moved(example(CELLS["peepholes"]), device, torch.float64)

    def curvature(engine: Layer) -> Tensor:
        weight = call.weights.recurrent.detach().requires_grad_()
        weights = call.weights._replace(recurrent=weight)
        outputs, _ = engine(LayerCall(call.spec, weights, call.inputs, call.state, call.lengths, FULL))
        (slope,) = torch.autograd.grad((outputs**2).sum(), weight, create_graph=True)
        (found,) = torch.autograd.grad((slope**2).sum(), weight)
        return found

    assert distance([curvature(layer)], [curvature(reference.layer)]) <= EXACT


@on_every_device
@pytest.mark.parametrize("options", [{"bidirectional": True, "num_layers": 2}, {"checkpoint_every": 2}], ids=str)
def test_a_whole_lstm_runs_on_it(options, device) -> None:
    lstm = LSTM(3, 4, cell=CellSpec.graves2005(), backend="triton", dtype=torch.float64, device=device, **options)
    values = torch.randn(5, 2, 3, dtype=torch.float64, device=device)
    lengths = torch.tensor([5, 3], device=device)
    assert lstm.backend_for(values) == "triton"
    ours, (h, c) = lstm(values, lengths=lengths)
    gradients = torch.autograd.grad(ours.sum() + c.sum(), list(lstm.parameters()))
    lstm.backend = "reference"
    theirs, (h_expected, c_expected) = lstm(values, lengths=lengths)
    expected = torch.autograd.grad(theirs.sum() + c_expected.sum(), list(lstm.parameters()))
    assert distance([ours, h, c, *gradients], [theirs, h_expected, c_expected, *expected]) <= EXACT


@pytest.mark.gpu
@both_ways
def test_tensors_of_more_than_two_to_the_31_numbers_are_addressed_rightly(resident) -> None:
    spec, steps, samples, tail = CellSpec.graves2005(), 128, 65_600, 16
    assert steps * samples * spec.row_count(64) > 2**31
    small = moved(a_call(spec, steps=steps, samples=tail, inputs=1, hidden=64, size=0.1), "cuda", torch.bfloat16)
    values = torch.randn(steps, samples, 1, device="cuda", dtype=torch.bfloat16)
    values[:, -tail:] = small.inputs
    state = State(*(torch.zeros(samples, part.shape[1], device="cuda", dtype=part.dtype) for part in small.state))
    for whole, part in zip(state, small.state, strict=True):
        whole[-tail:] = part

    def answers(inputs: Tensor, before: State) -> tuple[Tensor, Tensor]:
        inputs = inputs.detach().requires_grad_()
        outputs, _ = layer(LayerCall(spec, small.weights, inputs, before, None), resident=resident)
        (gradient,) = torch.autograd.grad((outputs[:, -tail:] * small.d_outputs).sum(), inputs)
        return outputs[:, -tail:].detach(), gradient[:, -tail:]

    for found, expected in zip(answers(values, state), answers(small.inputs, small.state), strict=True):
        torch.testing.assert_close(found, expected)


# -- which way, and what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hidden", "dtype", "expected"),
    [
        (128, torch.float32, True),
        (129, torch.float32, False),
        (128, torch.bfloat16, True),
        (64, torch.float64, True),
        (128, torch.float64, False),
    ],
)
def test_weights_that_stay_on_an_sm_take_one_launch(hidden: int, dtype: torch.dtype, expected: bool) -> None:
    assert fits_on_one_sm(CellSpec(), hidden, dtype) is expected


def test_without_tensor_cores_products_are_exact_and_weights_in_registers(precision: str) -> None:
    t4, before = Chip(shared=65_536, tensor_cores=False), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        assert product_rounding(torch.float32, t4) == "ieee"
    finally:
        torch.set_float32_matmul_precision(before)
    assert [fits_on_one_sm(CellSpec(), 128, dtype, 0, t4) for dtype in (torch.float32, torch.bfloat16)] == [True, True]
    assert not default_config(geometry(CellSpec(), 64, 0), torch.float16, "ieee", True, t4).dot


def test_a_cell_without_recurrent_weights_always_takes_one_launch() -> None:
    assert fits_on_one_sm(CellSpec(recurrence=False), 4096, torch.float64)


@pytest.mark.skipif(not INTERPRETED, reason="for the interpreter, which takes the CPU's tensors")
def test_tensors_that_the_kernels_cannot_take_are_refused_in_a_sentence() -> None:
    integers = torch.zeros(3, 2, 4, dtype=torch.int32)
    assert not can_run(integers)
    with pytest.raises(InputError, match=r"^backend 'triton' runs float32, .* the input is torch\.int32 on cpu$"):
        select.backend_for("triton", Request(CellSpec(), FULL, integers, 8))
    call = example(CellSpec(), torch.float32)
    state = call.state._replace(cells=call.state.cells.double())
    with pytest.raises(InputError, match=r"^cells is \(2, 2\) torch\.float64 on cpu; expected"):
        layer(LayerCall(call.spec, call.weights, call.inputs, state, None, FULL))


def test_blocks_too_large_for_a_program_are_refused_in_a_sentence() -> None:
    call = example(CellSpec(cells_per_block=2), torch.float32)
    spec = CellSpec(cells_per_block=2048)
    with pytest.raises(InputError, match="cells_per_block is 2048; expected at most 1024 for backend 'triton'"):
        default_config(geometry(spec, 2048, 0, CHUNK), call.inputs.dtype, "ieee", False)
