"""The named engine runs, and "auto" takes the fastest that can."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

import longlag
from equivalence.engines import BUILT, NATIVE, automatic, needs_kernels
from longlag import CellSpec
from longlag.errors import InputError
from longlag.ops import select
from longlag.ops.engine import CallOptions, ForwardCache
from longlag.ops.paths import TRUNCATED
from nn.layers import ENGINES, PLAIN, RICH, assert_same, flat, layer, sequences

# torch's own forward-mode rules still use them
pytestmark = pytest.mark.filterwarnings(r"ignore:`torch.jit.\w+` is deprecated:DeprecationWarning")


@pytest.fixture
def ran(monkeypatch):
    """Names of the engines that ran."""
    names = []
    for name, engine in list(select.ENGINES.items()):

        def spy(call, name=name, run=engine.run):
            names.append(name)
            return run(call)

        monkeypatch.setattr(engine, "run", spy)
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
def test_a_compiler_finds_the_kernels_or_the_operator_of_any_layer(cell):
    torch._dynamo.reset()
    compiled = torch.compile(layer(cell).backend_for, fullgraph=True, backend="eager")
    assert compiled(sequences()) in (BUILT or {"any_layer"})
    short = torch.compile(layer(cell, dtype=torch.bfloat16).backend_for, fullgraph=True, backend="eager")
    assert short(sequences().bfloat16()) == "any_layer"


def _set(name, value):
    return lambda lstm, values: (setattr(lstm, name, value), values)[1]


def _of_another_type(lstm, values):
    lstm.bfloat16()
    return values.bfloat16()


CHANGES = {
    "backend": _set("backend", "reference"),
    "cell": _set("cell", CellSpec(sharpness=2.0)),
    "samples": lambda lstm, values: torch.randn(3, 64, 3, dtype=torch.float64),
    "number type": _of_another_type,
    "device": lambda lstm, values: (lstm.to("meta"), values.to("meta"))[1],
}


@needs_kernels
@automatic
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_layer_that_was_called_before_runs_the_engine_that_a_new_one_runs(ran, monkeypatch, change):
    for name in NATIVE:
        monkeypatch.setattr(select.ENGINES[name], "fields", select.ENGINES[name].fields - {"sharpness"})
    lstm, fresh, values = layer(), layer(), sequences()
    for _ in range(2):
        lstm(values)
    change(fresh, values)
    at = change(lstm, values)
    expected = flat(fresh(at))
    engine = ran[-1]
    answers = flat(lstm(at))
    assert engine == ran[-1] == lstm.backend_for(at) != ran[0]
    if not at.is_meta:
        assert_same(answers, expected)


@needs_kernels
@automatic
def test_a_layer_that_was_called_before_gives_way_to_whoever_follows_operations(ran):
    lstm, values = layer(), sequences()
    for _ in range(2):
        check(ran, lstm, values, set(BUILT))
    torch.func.grad(lambda at: check(ran, lstm, at, {"reference"}))(values)
    torch.func.vmap(lambda at: check(ran, lstm, at, {"reference"}))(values)
    with forward_ad.dual_level():
        check(ran, lstm, forward_ad.make_dual(values, values), {"reference"})
    check(ran, lstm, values, set(BUILT))


@needs_kernels
@automatic
@pytest.mark.parametrize(
    ("wish", "later"),
    [
        ("truncated", {"paths": TRUNCATED}),
        ("per_sample", {"options": CallOptions(per_sample=[])}),
        ("forward_cache", {"options": CallOptions(forward_cache=ForwardCache())}),
    ],
    ids=["truncated", "per_sample", "forward_cache"],
)
def test_a_layer_that_was_called_before_looks_for_an_engine_that_can_do_what_a_call_wants(
    ran, monkeypatch, wish, later
):
    for name in NATIVE:
        monkeypatch.setattr(select.ENGINES[name], "wishes", select.ENGINES[name].wishes - {wish})
    lstm, values = layer(), sequences()
    for _ in range(2):
        lstm(values)
    try:
        lstm(values, **later)
    except InputError:
        return  # no engine can
    assert ran[-1] not in NATIVE


@needs_kernels
def test_the_engine_of_one_call_is_that_of_no_other(ran):
    lstm, values = layer(backend="native"), sequences()
    lstm(values)
    lstm(values, options=CallOptions(engine="reference"))
    assert ran[-1] == "reference"
    lstm(values)
    assert ran[-1] in NATIVE


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
