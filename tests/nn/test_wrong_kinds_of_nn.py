"""Whatever kind of thing is handed over by mistake: one sentence says what it is and what was expected."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from longlag import LSTM, CellSpec, Network, OnlineLSTM, SequenceBatch
from longlag.errors import InputError, InputTypeError
from longlag.nn import CrossEntropy, GaussianNLL, MeanSquaredError, QuantileLoss, SquaredError, init

WRONG: dict[str, Any] = {
    "None": None,
    "list": [1.0],
    "empty": [],
    "str": "abcd",
    "array": np.zeros(2),
    "True": True,
    "huge": 2**70,
    "1.5": 1.5,
    "nan": math.nan,
    "-1": -1,
    "object": object(),
    "tensor": torch.zeros(2),
    "dtype": torch.float32,
    "complex": 1j,
    "dict": {"a": 1},
    "class": int,
    "complex tensor": torch.zeros(5, 2, 2, dtype=torch.complex64),
    "whole tensor": torch.zeros(5, 2, 2, dtype=torch.int64),
    "sparse": torch.zeros(5, 2, 2).to_sparse(),
    "nested": torch.nested.nested_tensor([torch.zeros(3, 2), torch.zeros(5, 2)], layout=torch.jagged),
}
SEQUENCES = torch.zeros(5, 2, 2)
BATCH = SequenceBatch.last_step([torch.zeros(3, 2), torch.zeros(2, 2)], torch.zeros(2, 1))


def _lstm(**options: Any) -> LSTM:
    return LSTM(2, 4, **options)


def _network(**options: Any) -> Network:
    return Network(_lstm(), 1, **options)


def _option(make: Callable[..., Any], name: str) -> Callable[[Any], Any]:
    return lambda value: make(**{name: value})


def _without_gradients(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return torch.no_grad()(call)


LAYER, NET = _lstm(), _network()
STATE = LAYER.initial_state(2)
NOTHING, FLAG, NUMBER = ("None",), ("True",), ("huge", "1.5")

# What is called, and the values that are right there.
CALLS: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "input_size": (lambda v: LSTM(v, 4), ()),
    "hidden_size": (lambda v: LSTM(2, v), ()),
    "num_layers": (_option(_lstm, "num_layers"), ()),
    "bias": (_option(_lstm, "bias"), FLAG),
    "batch_first": (_option(_lstm, "batch_first"), FLAG),
    "bidirectional": (_option(_lstm, "bidirectional"), FLAG),
    "dropout": (_option(_lstm, "dropout"), ()),
    "proj_size": (_option(_lstm, "proj_size"), ()),
    "device": (_option(_lstm, "device"), NOTHING),
    "dtype": (_option(_lstm, "dtype"), ("None", "dtype")),
    "cell": (_option(_lstm, "cell"), NOTHING),
    "gradient": (_option(_lstm, "gradient"), ()),
    "backend": (_option(_lstm, "backend"), ()),
    "checkpoint_every": (_option(_lstm, "checkpoint_every"), NOTHING),
    "learn_sharpness": (_option(_lstm, "learn_sharpness"), FLAG),
    **{
        f"CellSpec {field.name}": (
            _option(CellSpec, field.name),
            FLAG
            if isinstance(field.default, bool)
            else NUMBER
            if field.name == "sharpness"
            else ("huge",)
            if isinstance(field.default, int)
            else (),
        )
        for field in dataclasses.fields(CellSpec)
    },
    "lstm": (lambda v: Network(v, 1), ()),
    "output_size": (lambda v: Network(_lstm(), v), ()),
    "output_activation": (_option(_network, "output_activation"), ()),
    "reads": (_option(_network, "reads"), ()),
    "output bias": (_option(_network, "bias"), FLAG),
    "reduction": (SquaredError, ()),
    "least_deviation": (_option(GaussianNLL, "least_deviation"), NUMBER),
    "quantiles": (QuantileLoss, ()),
    "outputs of a loss": (lambda v: MeanSquaredError()(v, BATCH), ()),
    "batch of a loss": (lambda v: MeanSquaredError()(torch.zeros(3, 2, 1), v), ()),
    **{
        f"lstm of {recipe.__name__}": (lambda v, recipe=recipe: recipe(v), ())
        for recipe in (init.uniform_, init.hochreiter1997_, init.forget_bias_, init.shut_, init.sparse_)
    },
    "lstm of chrono_": (lambda v: init.chrono_(v, 5), ()),
    "interval": (lambda v: init.hochreiter1997_(LAYER, v), NUMBER),
    "output_gate_bias": (lambda v: init.hochreiter1997_(LAYER, output_gate_bias=v), NOTHING),
    "value": (lambda v: init.forget_bias_(LAYER, v), (*NUMBER, "-1")),
    "net": (lambda v: init.shut_(LAYER, v), (*NUMBER, "-1")),
    "longest": (lambda v: init.chrono_(LAYER, v), NUMBER),
    "connections": (lambda v: init.sparse_(LAYER, v), ("huge",)),
    "std": (lambda v: init.sparse_(LAYER, 3, v), NUMBER),
    "input": (LAYER, ()),
    "hx": (lambda v: LAYER(SEQUENCES, v), NOTHING),
    "parts of hx": (lambda v: LAYER(SEQUENCES, (v, v)), ()),
    "lengths": (lambda v: LAYER(SEQUENCES, lengths=v), NOTHING),
    "parts of lengths": (lambda v: LAYER(SEQUENCES, lengths=[v, v]), ()),
    "paths": (lambda v: LAYER(SEQUENCES, paths=v), NOTHING),
    "options": (lambda v: LAYER(SEQUENCES, options=v), NOTHING),
    "backend set later": (lambda v: setattr(_lstm(), "backend", v), ()),
    "gradient set later": (lambda v: setattr(_lstm(), "gradient", v), ()),
    "cell set later": (lambda v: setattr(_lstm(), "cell", v), ()),
    "input of a network": (NET, ()),
    "hx of a network": (lambda v: NET(SEQUENCES, v), NOTHING),
    "batch": (NET.respond, ()),
    "backend_for": (LAYER.backend_for, ()),
    "x_t": (lambda v: LAYER.step(v, STATE), ()),
    "x_t without gradients": (_without_gradients(lambda v: LAYER.step(v, STATE)), ()),
    "state": (lambda v: LAYER.step(SEQUENCES[0], v), NOTHING),
    "state without gradients": (_without_gradients(lambda v: LAYER.step(SEQUENCES[0], v)), NOTHING),
    "parts of a state": (_without_gradients(lambda v: LAYER.step(SEQUENCES[0], (v, v))), ()),
    "inplace": (_without_gradients(lambda v: LAYER.step(SEQUENCES[0], LAYER.initial_state(2), inplace=v)), FLAG),
    "samples": (LAYER.initial_state, ()),
    "a weight to load": (lambda v: _lstm().load_state_dict({**LAYER.state_dict(), "weight_hh_l0": v}), ()),
    "a weight to assign": (lambda v: _lstm().load_state_dict({**LAYER.state_dict(), "bias_ih_l0": v}, assign=True), ()),
    "blocks": (lambda v: OnlineLSTM(2, 1, blocks=v), ()),
    "networks": (lambda v: OnlineLSTM(2, 1, networks=v), NOTHING),
    "online hidden backend": (lambda v: OnlineLSTM(2, 1, backend=v), ()),
    "update": (lambda v: OnlineLSTM(2, 1, update=v), ()),
}
SHAPES_ARE_TORCHS = ("a weight to load", "a weight to assign")  # PyTorch's own error, a RuntimeError


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy.ndarrays")
@pytest.mark.parametrize("what", CALLS)
def test_a_wrong_kind_ends_in_one_sentence(what: str) -> None:
    call, right = CALLS[what]
    for kind, value in WRONG.items():
        if kind in right or (what in SHAPES_ARE_TORCHS and kind in ("tensor", "whole tensor")):
            continue
        with pytest.raises(InputError) as caught:
            call(value)
        sentence = str(caught.value)
        assert re.search("[Ee]xpected|should|must|a layer knows", sentence), (
            kind,
            sentence,
        )  # some are PyTorch's words


@pytest.mark.parametrize("recipe", [init.uniform_, init.forget_bias_])
def test_a_recipe_for_a_layer_refuses_the_network_that_holds_it(recipe: Callable[..., None]) -> None:
    with pytest.raises(InputTypeError, match=r"^lstm is of type Network; expected a longlag\.LSTM$"):
        recipe(NET)


def test_biases_that_do_not_fit_leave_the_weights_as_they_were() -> None:
    lstm = _lstm()
    before = [weight.clone() for weight in lstm.parameters()]
    with pytest.raises(InputError, match="the output gate bias of block 1 is nan; expected a finite number"):
        init.hochreiter1997_(lstm, output_gate_bias=[0.0, math.nan, 0.0, 0.0])
    assert all(map(torch.equal, before, lstm.parameters()))


def test_what_a_weights_type_cannot_hold_is_refused() -> None:
    with pytest.raises(
        InputError, match="value is 1e\\+300; expected a finite number that the layer's weights can hold"
    ):
        init.forget_bias_(_lstm(dtype=torch.float32), 1e300)
    lstm = _lstm(dtype=torch.float64)
    init.forget_bias_(lstm, 1e300)
    assert lstm.bias_ih_l0[4] == 1e300


@pytest.mark.parametrize("sizes", [{"num_layers": 2**63}, {"hidden_size": 2**40}, {"input_size": 2**62}])
def test_layers_beyond_any_memory_are_refused_at_once(sizes: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"make layers of more than 2\*\*40 weights; expected fewer"):
        LSTM(**{"input_size": 2, "hidden_size": 4, **sizes})


def test_online_learners_beyond_any_memory_are_refused_at_once() -> None:
    with pytest.raises(InputError, match="hidden_size is 1099511627776 with 2 inputs; expected at most"):
        OnlineLSTM(2, 1, blocks=2**40)
    with pytest.raises(InputError, match=r"networks is 1099511627776: more than 2\*\*40 numbers in all"):
        OnlineLSTM(2, 1, networks=2**40)


def test_class_numbers_beyond_the_outputs_are_refused() -> None:
    batch = SequenceBatch.last_step([torch.zeros(3, 2), torch.zeros(2, 2)], torch.tensor([0, 3]))
    with pytest.raises(InputError, match="CrossEntropy reads 3 outputs: classes 0 to 2; got targets from 0 to 3"):
        CrossEntropy()(torch.zeros(3, 2, 3), batch)


# -- complex numbers ---------------------------------------------------------------------------------------------------


def test_a_layer_of_complex_numbers_is_refused() -> None:
    with pytest.raises(InputTypeError, match=r"^dtype is torch\.complex64; expected torch\.float16, "):
        _lstm(dtype=torch.complex64)


@pytest.mark.filterwarnings("ignore:Complex modules")
@pytest.mark.parametrize("convert", [lambda m: m.to(torch.complex64), lambda m: m.type(torch.complex128)])
@pytest.mark.parametrize("make", [_lstm, _network])
def test_a_layer_refuses_to_become_complex_and_stays_as_it_was(
    make: Callable[[], nn.Module], convert: Callable[[nn.Module], Any]
) -> None:
    module = make()
    before = [weight.clone() for weight in module.parameters()]
    with pytest.raises(InputTypeError, match=r"the layer's parameters would be torch\.complex"):
        convert(module)
    assert all(map(torch.equal, before, module.parameters()))


def test_a_complex_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"input has type torch\.complex64; the parameters have torch\.float32"):
        LAYER(torch.zeros(5, 2, 2, dtype=torch.complex64))


# -- loading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("assign", [True, False])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.to_sparse(), r"is of layout torch\.sparse_coo; expected a dense Tensor"),
        (lambda w: w.to_sparse_csr(), r"is of layout torch\.sparse_csr; expected a dense Tensor"),
        (lambda w: w.to("meta"), "is on the meta device and has no numbers; expected some to load"),
        (lambda w: w.to(torch.complex64), r"has type torch\.complex64; expected real numbers"),
        (lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8), r"has type torch\.qint8; expected real numbers"),
        (lambda w: w.numpy(), "is of type ndarray; expected a Tensor"),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state", "ignore:.*quantize_per_tensor.*")
@pytest.mark.parametrize("prefix", ["", "lstm."])
def test_what_cannot_become_a_weight_is_refused_before_anything_is_loaded(
    prefix: str, change: Callable[[torch.Tensor], Any], words: str, assign: bool
) -> None:
    module = _network() if prefix else _lstm()
    before = [weight.clone() for weight in module.parameters()]
    loaded: dict[str, Any] = {name: weight + 1 for name, weight in module.state_dict().items()}
    loaded[f"{prefix}weight_hh_l0"] = change(loaded[f"{prefix}weight_hh_l0"])
    with pytest.raises(InputError, match=f"^{prefix}weight_hh_l0 {words}$") as caught:
        module.load_state_dict(loaded, assign=assign)
    assert isinstance(caught.value, RuntimeError)  # as PyTorch's own
    assert all(map(torch.equal, before, module.parameters()))


def test_a_layer_on_the_meta_device_is_filled_by_assigning_to_it() -> None:
    empty = _lstm(device="meta")
    empty.load_state_dict(LAYER.state_dict(), assign=True)
    assert torch.equal(empty(SEQUENCES)[0], LAYER(SEQUENCES)[0])
