"""What PyTorch does with modules, done with ours: copies, files, transforms, compilation, other number types."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import shutil
import weakref

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.utils import parametrize

import longlag
from equivalence.engines import BUILT, NATIVE, automatic, needs_kernels, on_every_backend
from longlag import CellSpec
from longlag.errors import InputError
from longlag.ops import bptt, select
from longlag.ops.paths import TRUNCATED

# torch's own forward-mode rules, and inductor, still use them
pytestmark = pytest.mark.filterwarnings(r"ignore:`torch.jit.\w+` is deprecated:DeprecationWarning")

PLAIN = CellSpec()
RICH = CellSpec(cells_per_block=2, peepholes=True, gate_recurrence=True, sharpness=1.5, conventional_units=1)
CELLS = {"plain": PLAIN, "peephole blocks": CellSpec(cells_per_block=2, peepholes=True), "rich": RICH}
ENGINES = on_every_backend({"plain": PLAIN, "rich": RICH}, PLAIN)
OPAQUE = ("bptt", *NATIVE)  # one step to PyTorch, which cannot be transformed
IN_HALF_PRECISION = [engine for engine in ENGINES if engine.values[1] not in NATIVE]
SEEN_BY_PYTORCH = [engine for engine in ENGINES if engine.values[1] not in OPAQUE]
LENGTHS = torch.tensor([3, 0, 2])


def layer(cell: CellSpec = PLAIN, backend: str = "auto", **options) -> longlag.LSTM:
    torch.manual_seed(9)
    return longlag.LSTM(3, 4, **({"dtype": torch.float64} | options), cell=cell, backend=backend)


def sequences() -> Tensor:
    return torch.randn(3, 3, 3, dtype=torch.float64)


def flat(answer) -> list[Tensor]:
    return [answer[0], *answer[1]]


def assert_same(found, expected, **tolerance) -> None:
    tolerance = tolerance or {"rtol": 0, "atol": 0}
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, **tolerance)


# -- copies and files ----------------------------------------------------------------------------------------------


def pickled(lstm):
    return pickle.loads(pickle.dumps(lstm))  # noqa: S301  (our own bytes)


def saved(lstm):
    with io.BytesIO() as file:
        torch.save(lstm, file)
        file.seek(0)
        return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled, saved])
@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_a_copy_answers_the_same_bits_before_and_after_use(cell, backend, copied):
    lstm, values = layer(cell, backend, num_layers=2, bidirectional=True), sequences()
    expected = flat(lstm(values, lengths=LENGTHS))
    expected[0].sum().backward()  # a used module copies like a fresh one
    other = copied(lstm)
    assert_same(flat(other(values, lengths=LENGTHS)), expected)
    assert (other.cell, other.backend, other.gradient) == (lstm.cell, lstm.backend, lstm.gradient)
    assert repr(other) == repr(lstm)
    with torch.no_grad():
        other.weight_hh_l0.zero_()
    assert lstm.weight_hh_l0.count_nonzero() > 0


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_state_dict_needs_nothing_but_tensors_and_is_checked_when_loaded(cell):
    lstm, values = layer(cell), sequences()
    with io.BytesIO() as file:
        torch.save(lstm.state_dict(), file)
        file.seek(0)
        state = torch.load(file, weights_only=True)
    assert ("weight_peephole_l0" in state) == cell.peepholes
    other = longlag.LSTM(3, 4, dtype=torch.float64, cell=cell)
    assert not torch.allclose(other(values)[0], lstm(values)[0])
    other.load_state_dict(state)
    assert_same(flat(other(values)), flat(lstm(values)))
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({name: state[name] for name in list(state)[1:]})
    with pytest.raises(RuntimeError, match="size mismatch"):
        longlag.LSTM(3, 6, dtype=torch.float64, cell=cell).load_state_dict(state)


# -- transforms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_functional_call_runs_with_the_parameters_it_is_given(cell, backend):
    lstm, values = layer(cell, backend, num_layers=2), sequences()
    other = {name: torch.randn_like(weight) for name, weight in lstm.named_parameters()}
    found = torch.func.functional_call(lstm, other, (values,), {"lengths": LENGTHS})
    assert not torch.allclose(found[0], lstm(values, lengths=LENGTHS)[0])
    lstm.load_state_dict(other)
    assert_same(flat(found), flat(lstm(values, lengths=LENGTHS)))


@pytest.mark.parametrize(("cell", "backend"), SEEN_BY_PYTORCH)
def test_per_sample_gradients_from_vmap_are_those_of_a_loop(cell, backend):
    lstm, values = layer(cell, backend, num_layers=2, bidirectional=True), sequences()
    parameters = dict(lstm.named_parameters())

    def loss(parameters, sequence):
        return torch.func.functional_call(lstm, parameters, (sequence,))[0].square().sum()

    together = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 1))(parameters, values)
    for sample in range(values.shape[1]):
        alone = torch.autograd.grad(lstm(values[:, sample])[0].square().sum(), list(parameters.values()))
        assert_same([together[name][sample] for name in parameters], alone, rtol=0, atol=1e-12)
        once = torch.func.grad(loss)(parameters, values[:, sample])
        assert_same([once[name] for name in parameters], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize(("cell", "backend"), [e for e in SEEN_BY_PYTORCH if e.values[1] != "torch"])
def test_forward_derivatives_are_the_difference_quotient_s(cell, backend, ragged):
    lstm = layer(cell, backend)
    names, weights = zip(*lstm.named_parameters(), strict=True)
    point = [sequences(), *(torch.rand_like(part) for part in lstm.initial_state(3)), *weights]
    direction = [torch.randn_like(tensor) for tensor in point]
    carried = len(lstm.initial_state(1))

    def run(values, *rest):
        parameters = dict(zip(names, rest[carried:], strict=True))
        given = {"hx": rest[:carried], "lengths": LENGTHS if ragged else None}
        return torch.cat(
            [part.flatten() for part in flat(torch.func.functional_call(lstm, parameters, (values,), given))]
        )

    h = 1e-5
    with torch.no_grad():
        ahead = run(*(tensor + h * step for tensor, step in zip(point, direction, strict=True)))
        behind = run(*(tensor - h * step for tensor, step in zip(point, direction, strict=True)))
    quotient = (ahead - behind) / (2 * h)
    _, slope = torch.func.jvp(run, tuple(point), tuple(direction))
    torch.testing.assert_close(slope, quotient, rtol=0, atol=1e-8)
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(tensor, step) for tensor, step in zip(point, direction, strict=True)]
        slope = forward_ad.unpack_dual(run(*duals)).tangent
    torch.testing.assert_close(slope, quotient, rtol=0, atol=1e-8)


@pytest.mark.parametrize("moved", ["input", "state", "weight"])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_tangent_on_one_tensor_alone_is_enough_for_a_forward_derivative(cell, moved):
    lstm, values = layer(cell), sequences()
    hx = [torch.rand_like(part) for part in lstm.initial_state(3)]
    weight = lstm.weight_hh_l0.detach()
    with forward_ad.dual_level():
        if moved == "input":
            values = forward_ad.make_dual(values, torch.ones_like(values))
        elif moved == "state":
            hx[-1] = forward_ad.make_dual(hx[-1], torch.ones_like(hx[-1]))
        else:
            weight = forward_ad.make_dual(weight, torch.ones_like(weight))
        output, _ = torch.func.functional_call(lstm, {"weight_hh_l0": weight}, (values, tuple(hx)))
        tangent = forward_ad.unpack_dual(output).tangent
    assert tangent.abs().max() > 0


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_forward_and_backward_jacobians_agree(cell):
    lstm, values = layer(cell), sequences()[:2, :2]
    rows, columns = (transform(lambda at: lstm(at)[0])(values) for transform in (torch.func.jacrev, torch.func.jacfwd))
    assert rows.abs().max() > 0
    torch.testing.assert_close(rows, columns, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("cell", "backend"), [engine for engine in ENGINES if engine.values[1] in OPAQUE])
def test_an_opaque_engine_refuses_transforms_rather_than_be_wrong(cell, backend):
    lstm, values = layer(cell, backend), sequences()
    with pytest.raises(RuntimeError):
        torch.func.grad(lambda at: lstm(at)[0].sum())(values)
    if not backend.startswith("native"):  # the kernels have a forward mode: tests/ops/test_forward_mode.py
        with forward_ad.dual_level(), pytest.raises(RuntimeError):  # NotImplementedError is one
            lstm(forward_ad.make_dual(values, torch.ones_like(values)))


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_gradients_of_gradients_are_right_on_every_backend(cell, backend, ragged):
    lstm = layer(cell, backend)
    names, weights = zip(*lstm.named_parameters(), strict=True)
    tensors = [sequences().requires_grad_(), *(torch.rand_like(part) for part in lstm.initial_state(3)), *weights]
    carried = len(lstm.initial_state(1))

    def run(values, *rest):
        parameters = dict(zip(names, rest[carried:], strict=True))
        given = {"hx": rest[:carried], "lengths": LENGTHS if ragged else None}
        return tuple(flat(torch.func.functional_call(lstm, parameters, (values,), given)))

    tensors = [tensor.detach().requires_grad_() for tensor in tensors]
    assert torch.autograd.gradcheck(run, tensors, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, tensors, fast_mode=True)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_a_gradient_to_be_differentiated_is_the_same_gradient_and_its_own_is_the_reference_s(cell, backend, ragged):
    values = sequences().requires_grad_()
    answers = []
    for lstm in (layer(cell, "reference", num_layers=2), layer(cell, backend, num_layers=2)):
        hx = tuple(torch.full_like(part, 0.3).requires_grad_() for part in lstm.initial_state(3))
        wanted = [values, *hx, *lstm.parameters()]
        parts = flat(lstm(values, hx, lengths=LENGTHS if ragged else None))
        total = sum(part.square().sum() for part in parts)
        plain = torch.autograd.grad(total, wanted, retain_graph=True)
        slopes = torch.autograd.grad(total, wanted, create_graph=True)
        assert_same(slopes, plain, rtol=0, atol=1e-11)
        answers.append(torch.autograd.grad(sum(slope.square().sum() for slope in slopes), wanted))
    assert_same(*answers, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_a_parametrised_weight_is_computed_anew_and_passes_its_gradient_on(cell, backend):
    class Halved(nn.Module):
        def forward(self, weight):
            return 0.5 * weight

    lstm, plain, values = layer(cell, backend), layer(cell, backend), sequences()
    parametrize.register_parametrization(lstm, "weight_hh_l0", Halved())
    with torch.no_grad():
        plain.weight_hh_l0.mul_(0.5)
    expected = plain(values)[0]
    found = lstm(values)[0]
    assert_same([found], [expected])
    found.sum().backward()
    expected.sum().backward()
    halved = lstm.parametrizations.weight_hh_l0.original.grad
    torch.testing.assert_close(halved, 0.5 * plain.weight_hh_l0.grad, rtol=1e-12, atol=0)
    assert halved.abs().max() > 0


# -- compilation ---------------------------------------------------------------------------------------------------


def assert_compiles(cell: CellSpec, ragged: bool, compiler: str) -> None:
    torch._dynamo.reset()
    lstm, values = layer(cell, num_layers=2), sequences()[:2].requires_grad_()
    hx = tuple(torch.rand_like(part).requires_grad_() for part in lstm.initial_state(3))
    given = {"lengths": torch.tensor([2, 0, 1]) if ragged else None}
    answers = []
    for run in (torch.compile(lstm, fullgraph=True, backend=compiler), lstm):
        parts = flat(run(values, hx, **given))
        wanted = [values, *hx, *lstm.parameters()]
        answers.append([*parts, *torch.autograd.grad(sum(part.square().sum() for part in parts), wanted)])
    assert_same(*answers, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("cell", [PLAIN, CELLS["peephole blocks"]], ids=["plain", "peephole blocks"])
def test_it_compiles_into_one_graph_with_the_same_answers_and_gradients(cell, ragged):
    assert_compiles(cell, ragged, "aot_eager")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.parametrize("cell", [PLAIN, CELLS["peephole blocks"]], ids=["plain", "peephole blocks"])
def test_inductor_compiles_it_with_the_same_answers_and_gradients(cell):
    assert_compiles(cell, True, "inductor")


# -- which engine runs ---------------------------------------------------------------------------------------------


@pytest.fixture
def ran(monkeypatch):
    """Names of the engines that ran."""
    names = []
    for name, engine in list(select.ENGINES.items()):

        def spy(*given, name=name, engine=engine):
            names.append(name)
            return engine(*given)

        monkeypatch.setitem(select.ENGINES, name, spy)
    return names


def check(ran, lstm, at, expected):
    ran.clear()
    assert lstm.backend_for(at) in expected
    output = lstm(at)[0]
    assert set(ran) == {lstm.backend_for(at)}
    return output.sum()


@pytest.mark.parametrize(("cell", "backend"), [engine for engine in ENGINES if engine.values[1] != "auto"])
def test_the_named_backend_is_the_one_that_runs(ran, cell, backend):
    check(ran, layer(cell, backend), sequences(), {backend})
    check(ran, layer(cell, backend, num_layers=2, bidirectional=True), sequences(), {backend})


@automatic
def test_the_automatic_backend_is_the_fastest_that_can_run(ran):
    values, short = sequences(), sequences().bfloat16()
    packed = nn.utils.rnn.pack_sequence([values[:, 0]])
    fastest, fastest_for_rich = (set(BUILT), set(BUILT)) if BUILT else ({"torch"}, {"bptt"})
    check(ran, layer(), values, fastest)
    check(ran, layer(bias=False, bidirectional=True, proj_size=2, num_layers=2), values, fastest)
    check(ran, layer(RICH), values, fastest_for_rich)
    check(ran, layer(gradient="truncated"), values, fastest_for_rich)
    assert layer().backend_for(packed) in fastest
    assert layer(RICH).backend_for(packed) in fastest_for_rich
    check(ran, layer(dtype=torch.bfloat16), short, {"torch"})
    check(
        ran, layer(CellSpec(biases="single"), dtype=torch.bfloat16), short, {"torch"}
    )  # stored so, the same equations
    check(ran, layer(RICH, dtype=torch.bfloat16), short, {"bptt"})
    check(ran, layer(gradient="truncated", dtype=torch.bfloat16), short, {"bptt"})


@automatic
@pytest.mark.parametrize("cell", [PLAIN, RICH], ids=["plain", "rich"])
def test_the_automatic_backend_is_the_reference_where_pytorch_must_see_each_operation(ran, cell):
    lstm, values = layer(cell), sequences()
    torch.func.grad(lambda at: check(ran, lstm, at, {"reference"}))(values)
    torch.func.vmap(lambda at: check(ran, lstm, at, {"reference"}))(values)
    with forward_ad.dual_level():
        check(ran, lstm, forward_ad.make_dual(values, values), {"reference"})


@automatic
@pytest.mark.parametrize("cell", [PLAIN, RICH], ids=["plain", "rich"])
def test_a_compiler_finds_the_kernels_or_the_reference(cell):
    torch._dynamo.reset()
    compiled = torch.compile(layer(cell).backend_for, fullgraph=True, backend="eager")
    assert compiled(sequences()) in (BUILT or {"reference"})
    if BUILT:  # these are no operators to it, and other number types need some
        short = torch.compile(layer(cell, dtype=torch.bfloat16).backend_for, fullgraph=True, backend="eager")
        assert short(sequences().bfloat16()) == "reference"


@needs_kernels
@pytest.mark.parametrize("cell", [PLAIN, RICH], ids=["plain", "rich"])
def test_the_native_backend_is_one_of_the_two_ways_to_fill_vectors(ran, cell):
    check(ran, layer(cell, "native"), sequences(), set(NATIVE))


@pytest.mark.parametrize(
    "options",
    [
        {"cell": RICH}, {"cell": CellSpec(peepholes=True)}, {"cell": CellSpec(sharpness=2.0)},
        {"cell": CellSpec(coupled_gates=True)}, {"cell": CellSpec(output_squash="identity")},
        {"gradient": "truncated"},
    ],
    ids=str,
)  # fmt: skip
def test_the_torch_backend_is_refused_for_what_it_cannot_do(options):
    with pytest.raises(InputError, match="runs the default cell with the full gradient only"):
        longlag.LSTM(3, 4, backend="torch", **options)


def test_the_torch_backend_refuses_a_truncated_gradient_when_called():
    with pytest.raises(InputError, match="full gradient only"):
        layer(PLAIN, "torch")(sequences(), paths=TRUNCATED)


@pytest.mark.parametrize(("option", "value"), [("backend", "cuda"), ("backend", None), ("gradient", "rtrl")])
def test_an_unknown_option_is_refused_with_those_there_are(option, value):
    with pytest.raises(InputError, match=f"{option} is {value!r}; .*(full|auto)"):
        longlag.LSTM(3, 4, **{option: value})


# -- memory --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backward", [False, True], ids=["forward only", "after backward"])
@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_an_answer_that_nobody_holds_is_gone_without_the_garbage_collector(cell, backend, backward):
    lstm, values = layer(cell, backend, num_layers=2), sequences()
    gc.disable()
    try:
        output, state = lstm(values, lengths=LENGTHS)
        if backward:
            output.sum().backward()
        watched = [weakref.ref(part) for part in (output, *state)]
        del output, state
        assert all(reference() is None for reference in watched)
    finally:
        gc.enable()


@pytest.mark.parametrize(("cell", "backend"), [engine for engine in ENGINES if engine.values[1] in OPAQUE])
def test_a_hand_written_backward_pass_lets_go_of_its_tape_while_the_loss_lives_on(cell, backend):
    lstm, values = layer(cell, backend), sequences()
    packed = []

    class Kept:
        def __init__(self, tensor):
            self.tensor = tensor
            packed.append(weakref.ref(self))

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        loss = lstm(values)[0].sum()
    assert len([kept for kept in packed if kept() is not None]) > 4
    loss.backward()
    assert [kept for kept in packed if kept() is not None] == []
    assert loss.isfinite()


# -- small things that callers of torch.nn.LSTM use ----------------------------------------------------------------


def test_its_text_names_every_option_that_is_not_the_default():
    assert repr(longlag.LSTM(3, 4)) == "LSTM(3, 4)"
    text = repr(
        longlag.LSTM(
            3, 4, 2, False, True, 0.5, True, 2, cell=CellSpec.graves2005(), gradient="truncated", backend="bptt"
        )
    )
    assert text == (
        "LSTM(3, 4, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True, proj_size=2, "
        f"cell={CellSpec.graves2005()!r}, gradient=truncated, backend=bptt)"
    )


def test_all_weights_are_the_parameters_by_layer_and_direction_and_flattening_changes_none():
    ours = longlag.LSTM(3, 4, 2, bidirectional=True, proj_size=2)
    theirs = nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2)
    assert [[weight.shape for weight in weights] for weights in ours.all_weights] == [
        [weight.shape for weight in weights] for weights in theirs.all_weights
    ]
    assert ours.all_weights[1][0] is ours.weight_ih_l0_reverse
    before = [weight.clone() for weight in ours.parameters()]
    assert ours.flatten_parameters() is None
    assert_same(list(ours.parameters()), before)


def test_positional_arguments_stand_in_torchs_order():
    given = (3, 4, 2, False, True, 0.5, True, 2, "cpu", torch.float64)
    ours, theirs = longlag.LSTM(*given), nn.LSTM(*given)
    for name in ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.proj_size == theirs.proj_size
    assert {name: (w.shape, w.dtype) for name, w in ours.named_parameters()} == {
        name: (w.shape, w.dtype) for name, w in theirs.named_parameters()
    }
    with pytest.raises(TypeError):
        longlag.LSTM(*given, CellSpec())  # what is ours is keyword only


# -- number types --------------------------------------------------------------------------------------------------


def test_converting_the_module_converts_every_parameter_and_the_answer():
    lstm, values = layer(RICH, dtype=torch.float32), sequences()
    expected = lstm(values.float())[0]
    assert expected.dtype == torch.float32
    assert lstm.double() is lstm
    torch.testing.assert_close(lstm(values)[0], expected.double(), rtol=1e-4, atol=1e-5)
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        assert {weight.dtype for weight in lstm.to(dtype).parameters()} == {dtype}
        assert {part.dtype for part in flat(lstm(values.to(dtype)))} == {dtype}
    with pytest.raises(ValueError, match=r"input has type torch\.float32; the parameters have torch\.float64"):
        lstm(values.float())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("cell", "backend"), IN_HALF_PRECISION)
def test_half_precision_trains_on_every_backend(cell, backend, dtype):
    # Every value is below 2 and passes some 20 roundings to 8 (bfloat16) or 11 bits on its way; 40 ulp of 1 is ample
    # for answers. Gradients sum over 9 steps and samples: they are held to the same share of their largest number.
    exact = layer(cell, "reference", num_layers=2, bidirectional=True)
    short = layer(cell, backend, num_layers=2, bidirectional=True, dtype=dtype)
    short.load_state_dict(exact.state_dict())
    exact.load_state_dict(short.state_dict())  # the same rounded weights in both
    values = sequences().to(dtype)
    answers = []
    for lstm, at in ((exact, values.double()), (short, values)):
        output, state = lstm(at, lengths=LENGTHS)
        total = output.sum() + sum(part.sum() for part in state)
        answers.append([output, *state, *torch.autograd.grad(total, list(lstm.parameters()))])
    for expected, found in zip(*answers, strict=True):
        assert found.dtype == dtype
        allowed = 40 * torch.finfo(dtype).eps * expected.abs().max().clamp(min=1.0)
        assert (found.double() - expected).abs().max() <= allowed


def test_engines_run_with_autocast_switched_off(monkeypatch):
    seen = []

    def spy(*given):
        seen.append((torch.is_autocast_enabled("cpu"), {given[2].dtype, *(weight.dtype for weight in given[1][:3])}))
        return bptt.layer(*given)

    monkeypatch.setitem(select.ENGINES, "bptt", spy)
    with torch.autocast("cpu", torch.bfloat16):
        layer(RICH, "bptt", dtype=torch.float32)(sequences().float())
        assert torch.is_autocast_enabled("cpu")
    assert seen == [(False, {torch.bfloat16})]


@pytest.mark.parametrize(("cell", "backend"), IN_HALF_PRECISION)
def test_autocast_runs_the_layer_in_its_type_as_it_does_torchs(cell, backend):
    lstm, theirs = layer(cell, backend, dtype=torch.float32), nn.LSTM(3, 4)
    values, hx = sequences().float(), lstm.initial_state(3)
    with torch.autocast("cpu", torch.bfloat16):
        torchs = theirs(values)
        parts = flat(lstm(values, hx))
        again = flat(lstm(values.bfloat16()))
        with pytest.raises(ValueError, match=r"input has type torch\.float64"):
            lstm(values.double())
        assert layer(cell, backend)(values.double())[0].dtype == torch.float64  # autocast leaves float64 alone
    assert {part.dtype for part in parts} == {part.dtype for part in flat(torchs)} == {torch.bfloat16}
    assert_same(again, parts)
    parts[0].sum().backward()
    plain = layer(cell, backend, dtype=torch.bfloat16)
    with torch.no_grad():
        assert_same(parts, flat(plain(values.bfloat16())))
    assert all(weight.grad.dtype == torch.float32 for weight in lstm.parameters())
    assert all(weight.grad.abs().max() > 0 for weight in lstm.parameters())
