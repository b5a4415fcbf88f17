"""The CPU kernels as PyTorch operators: checked, compiled, exported, and differentiated twice."""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch
from torch import Tensor

from equivalence.compare import EXACT, Layer, answers_and_gradients, distance
from equivalence.engines import kernels
from equivalence.specs import PATHS, LayerCase
from longlag import LSTM, CellSpec, Network
from longlag.errors import InputError
from longlag.ops import double_backward, reference
from longlag.ops.engine import LayerCall
from longlag.ops.layer import State
from longlag.ops.paths import FULL, TRUNCATED, GradientPaths
from ops.examples import CELLS, example

_native = pytest.importorskip("longlag._native", reason="the compiled module was not built", exc_type=ImportError)
native = pytest.importorskip("longlag.ops.native", reason="the compiled module was not built", exc_type=ImportError)
custom_ops = pytest.importorskip("longlag.ops.custom_ops", exc_type=ImportError)

# torch's own forward-mode rules use them
pytestmark = pytest.mark.filterwarnings(r"ignore:`torch.jit.\w+` is deprecated:DeprecationWarning")

LANES = ("samples", "units")
RICH = CellSpec(cells_per_block=2, peepholes=True, gate_recurrence=True, sharpness=1.5, conventional_units=1)


def through_the_operator(lanes: str, every: int = 0) -> Layer:
    """An engine that takes the way of whoever records operators."""

    def layer(call: LayerCall) -> tuple[Tensor, State]:
        plan = native.Plan(call.spec, call.paths, lanes, every)
        outputs, *final = custom_ops.layer(plan, call.lengths, call.inputs, *call.state, *call.weights)
        return outputs, State(*final)

    return layer


# -- as torch wants operators --------------------------------------------------------------------------------------


def projected(call: LayerCase) -> LayerCase:
    """The same cell, with its two outputs projected to one."""
    w, some = call.weights, torch.randn
    call.weights = w._replace(recurrent=w.recurrent[:, 1:], projection=some(1, 2, dtype=torch.float64))
    call.state, call.d_state = (state._replace(output=state.output[:, 1:]) for state in (call.state, call.d_state))
    call.d_outputs = call.d_outputs[..., 1:]
    return call


def case(name: str) -> tuple[LayerCase, int]:
    if name == "plain":
        call = example(CellSpec())
        call.lengths = None
        return call, 0
    if name == "ragged 2013":
        call = example(CellSpec.batch2013())
        call.lengths = torch.tensor([3, 0])
        return call, 0
    return projected(example(CellSpec(peepholes=True))), 2


CASES = ("plain", "ragged 2013", "projected, peepholes, checkpoints")


@pytest.mark.costly
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", CASES)
def test_torchs_own_check_passes_the_way_forward(name: str, lanes: str) -> None:
    call, every = case(name)
    tensors = [None if t is None else t.requires_grad_() for t in (call.inputs, *call.state, *call.weights)]
    arguments = (*tensors, call.lengths, call.spec.text, True, True, lanes, every)
    found = torch.library.opcheck(torch.ops.longlag.layer.default, arguments)
    assert set(found.values()) == {"SUCCESS"}


@pytest.mark.costly
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", CASES)
def test_torchs_own_check_passes_the_way_back(name: str, lanes: str) -> None:
    call, every = case(name)
    tensors = (call.inputs, *call.state, *call.weights)
    plain = (call.spec.text, True, True, lanes, every)
    outputs, *_, tape = torch.ops.longlag.layer(*tensors, call.lengths, *plain)
    for errors, wanted in (
        ([call.d_outputs, *call.d_state], [True] * 4),
        ([call.d_outputs, None, call.d_state.cells, None], [False, True, False, True]),
    ):
        arguments = (errors, wanted, *tensors, call.lengths, outputs, tape, *plain)
        found = torch.library.opcheck(torch.ops.longlag.layer_backward.default, arguments)
        assert set(found.values()) == {"SUCCESS"}


@pytest.mark.parametrize("every", [0, 1, 2])
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", ["plain", "2013"])
def test_all_results_are_the_same_for_the_same_arguments_to_the_last_unused_place(name, lanes, every) -> None:
    call, found = example(CELLS[name]), []
    call.lengths = torch.tensor([3, 0])
    nan = call.of_nan()
    crowd = dataclasses.replace(
        nan,
        inputs=nan.inputs.repeat(1, 20, 1),
        state=State(*(part.repeat(20, 1) for part in nan.state)),
        lengths=torch.full((40,), 3),
    )
    for before in (call, nan, crowd):  # what the kernels' own memory holds from the call before
        for each in (before, call):
            tensors = (each.inputs, *each.state, *each.weights, each.lengths)
            answer = torch.ops.longlag.layer(*tensors, each.spec.text, True, True, lanes, every)
        found.append(answer)
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(others, found[0], strict=True))


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", CELLS)
def test_a_tape_of_the_operator_is_long_enough_for_every_instruction_set(name: str, lanes: str) -> None:
    # A graph may be compiled on one machine and run on another.
    in_use = _native.instruction_set()
    try:
        for dtype in (torch.float32, torch.float64):
            for samples in (1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 96, 97, 127, 128, 129, 200):
                for every in (0, 2):
                    plan = native.Plan(CELLS[name], FULL, lanes, every)
                    call = example(CELLS[name])
                    state = [part[:1].repeat(samples, 1).to(dtype) for part in call.state]
                    inputs = call.inputs[:, :1].repeat(1, samples, 1).to(dtype)
                    size = custom_ops._tape_size(plan, inputs, call.weights.input, *state)
                    for instruction_set in _native.instruction_sets():
                        _native.use(instruction_set)
                        assert size >= native.tape_size(plan, inputs, state[1], None)
    finally:
        _native.use(in_use)


@pytest.mark.parametrize("paths", PATHS, ids=str)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", CELLS)
def test_the_operator_answers_the_bits_of_the_direct_call(name: str, lanes: str, paths: GradientPaths) -> None:
    for every in (0, 2):
        call = example(CELLS[name])
        expected, found = (
            answers_and_gradients(engine(lanes, every), call, paths) for engine in (kernels, through_the_operator)
        )
        for kind, expectation in zip(found, expected, strict=True):
            assert all(torch.equal(one, other) for one, other in zip(kind, expectation, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": torch.tensor([3, 200_000])}, "lengths is"),
        ({"lengths": torch.tensor([3, -1])}, "lengths is"),
        ({"lengths": torch.tensor([3, 1], dtype=torch.int32)}, "lengths is"),
        ({"lengths": torch.tensor([3])}, "lengths is"),
        ({"inputs": torch.zeros(3, 2, 2)}, "output is"),  # float32 beside float64
        ({"inputs": torch.zeros(3, 2, 5, dtype=torch.float64)}, "weight_input is"),
        ({"inputs": torch.zeros(2, 2, dtype=torch.float64)}, "inputs is"),
        ({"inputs": torch.zeros(3, 2, 2, dtype=torch.bfloat16)}, "inputs is"),
        ({"lanes": "nonsense"}, "lanes is 'nonsense'"),
        ({"every": -1}, "every -1"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused_before_a_kernel_sees_them(change, message) -> None:
    call = example(CellSpec())
    given = {"inputs": call.inputs, "lengths": call.lengths, "lanes": "units", "every": 0}
    rest = (*call.state, *call.weights)
    outputs, *_, tape = torch.ops.longlag.layer(
        *(call.inputs, *rest), call.lengths, call.spec.text, True, True, "units", 0
    )
    given |= change
    tensors, plain = (given["inputs"], *rest, given["lengths"]), (call.spec.text, True, True)
    with pytest.raises(InputError, match=message):
        torch.ops.longlag.layer(*tensors, *plain, given["lanes"], given["every"])
    errors = [call.d_outputs, *call.d_state]
    with pytest.raises(InputError, match=message):
        torch.ops.longlag.layer_backward(
            errors, [True] * 4, *tensors, outputs, tape, *plain, given["lanes"], given["every"]
        )


def test_a_way_back_with_somebody_elses_tape_is_refused() -> None:
    call = example(CellSpec())
    tensors, plain = (call.inputs, *call.state, *call.weights, call.lengths), (call.spec.text, True, True, "units", 0)
    outputs, *_, tape = torch.ops.longlag.layer(*tensors, *plain)
    errors = [call.d_outputs, *call.d_state]
    for spoilt in ((outputs[:2], tape), (outputs, tape[:5])):
        with pytest.raises(InputError, match="do not belong to these inputs"):
            torch.ops.longlag.layer_backward(errors, [True] * 4, *tensors, *spoilt, *plain)
    with pytest.raises(InputError, match="a gradient is"):
        torch.ops.longlag.layer_backward([errors[0][:1], *errors[1:]], [True] * 4, *tensors, outputs, tape, *plain)


@pytest.mark.costly
def test_lengths_that_a_compiled_layer_is_given_are_checked_when_it_runs() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(lstm("units"), fullgraph=True, backend="aot_eager")
    assert compiled(values(), lengths=torch.tensor([4, 2, 0]))[0].shape == (4, 3, 5)
    with pytest.raises(InputError, match="lengths is"):
        compiled(values(), lengths=torch.tensor([4, 200_000, 0]))


# -- compiled and exported -----------------------------------------------------------------------------------------


def lstm(lanes: str, cell: CellSpec = RICH, **options) -> LSTM:
    torch.manual_seed(2)
    return LSTM(3, 4, **({"num_layers": 2, "dtype": torch.float64} | options), cell=cell, backend=f"native-{lanes}")


def values(samples: int = 3) -> Tensor:
    return torch.randn(4, samples, 3, dtype=torch.float64)


@pytest.mark.costly
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"checkpoint_every": 2}], ids=str)
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("lanes", LANES)
def test_a_compiled_layer_is_one_graph_with_the_same_answers_and_gradients(lanes, ragged, options) -> None:
    torch._dynamo.reset()
    layer, at = lstm(lanes, **options), values().requires_grad_()
    hx = tuple(torch.rand_like(part).requires_grad_() for part in layer.initial_state(3))
    answers = []
    for run in (layer, torch.compile(layer, fullgraph=True, backend="aot_eager")):
        output, state = run(at, hx, lengths=torch.tensor([4, 0, 2]) if ragged else None)
        total = output.square().sum() + sum(part.square().sum() for part in state)
        wanted = [at, *hx, *layer.parameters()]
        answers.append(([output, *state], torch.autograd.grad(total, wanted, materialize_grads=True)))
    assert all(torch.equal(one, other) for one, other in zip(answers[0][0], answers[1][0], strict=True))
    assert distance(answers[1][1], answers[0][1]) <= 1e-12


@pytest.mark.costly
@pytest.mark.parametrize("lanes", LANES)
def test_one_compiled_graph_serves_batches_of_any_size(lanes: str) -> None:
    torch._dynamo.reset()
    layer = lstm(lanes, num_layers=1)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    for samples in (3, 5, 9):
        at = values(samples)
        assert torch.equal(compiled(at)[0], layer(at)[0])


@pytest.mark.parametrize("module", ["layer", "network"])
@pytest.mark.parametrize("cell", [CellSpec(), RICH], ids=["plain", "rich"])
@pytest.mark.parametrize("lanes", LANES)
def test_an_exported_module_gives_the_same_answers(lanes: str, cell: CellSpec, module: str) -> None:
    made = lstm(lanes, cell) if module == "layer" else Network(lstm(lanes, cell), 2)
    exported = torch.export.export(made, (values(),)).module()
    at = values()
    expected, found = made(at), exported(at)
    for one, other in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("module", ["layer", "network"])
@pytest.mark.parametrize("lanes", LANES)
def test_a_module_exported_for_any_number_of_samples_answers_for_each(lanes: str, module: str) -> None:
    made = lstm(lanes) if module == "layer" else Network(lstm(lanes), 2)
    shapes = {"input": {1: torch.export.Dim("samples")}}
    exported = torch.export.export(made, (values(),), dynamic_shapes=shapes).module()
    for samples in (2, 3, 20):
        at = values(samples)
        assert torch.equal(exported(at)[0], made(at)[0])


# -- differentiated twice ------------------------------------------------------------------------------------------

ENGINES = {
    f"{way}-{lanes}": engine(lanes)
    for way, engine in (("direct", kernels), ("operator", through_the_operator))
    for lanes in LANES
}


def second_derivatives(engine: Layer, call: LayerCase, paths: GradientPaths) -> list[Tensor]:
    leaves = [leaf.requires_grad_() for leaf in call.leaves()]
    outputs, final = engine(call.along(paths))
    total = (outputs * call.d_outputs).sum() + (final.cells * call.d_state.cells.detach()).sum()
    first = torch.autograd.grad(total, leaves, create_graph=True, materialize_grads=True)
    squares = sum(part.square().sum() for part in first)
    return [*first, *torch.autograd.grad(squares, leaves, materialize_grads=True)]


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("paths", [FULL, TRUNCATED], ids=["full", "truncated"])
@pytest.mark.parametrize("name", CELLS)
def test_second_derivatives_are_the_reference_s(name: str, paths: GradientPaths, engine: Layer) -> None:
    expected, found = (second_derivatives(each, example(CELLS[name]), paths) for each in (reference.layer, engine))
    assert distance(found, expected) <= EXACT


@pytest.mark.costly
@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("name", ["plain", "2013"])
def test_second_derivatives_are_the_slopes_of_the_first(name: str, engine: Layer) -> None:
    call = example(CELLS[name])
    leaves = [leaf.requires_grad_() for leaf in call.leaves() if leaf.numel()]

    def results(*_: Tensor) -> tuple[Tensor, ...]:
        outputs, final = engine(call.along(FULL))
        return (outputs, *(part for part in final if part.numel()))

    assert torch.autograd.gradcheck(results, leaves)
    assert torch.autograd.gradgradcheck(results, leaves)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_a_second_derivative_says_once_that_it_runs_on_the_reference(engine: Layer, caplog) -> None:
    double_backward._say_once.cache_clear()
    with caplog.at_level(logging.WARNING, logger="longlag"):
        call = example(CellSpec())
        answers_and_gradients(engine, call, FULL)
        assert caplog.records == []
        for _ in range(2):
            second_derivatives(engine, example(CellSpec()), FULL)
    assert [(record.name, record.levelname) for record in caplog.records] == [("longlag", "WARNING")]
    assert "runs on the reference engine" in caplog.text
