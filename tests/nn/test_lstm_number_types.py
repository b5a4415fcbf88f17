"""Number types of a layer: converted, in half precision, under autocast."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from equivalence.engines import NATIVE
from longlag.ops import bptt, select
from nn.layers import ENGINES, LENGTHS, RICH, assert_same, flat, layer, sequences

IN_HALF_PRECISION = [engine for engine in ENGINES if engine.values[1] not in NATIVE]


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

    def spy(call):
        types = {call.inputs.dtype, *(weight.dtype for weight in call.weights[:3])}
        seen.append((torch.is_autocast_enabled("cpu"), types))
        return bptt.layer(call)

    monkeypatch.setattr(select.ENGINES["bptt"], "run", spy)
    with torch.autocast("cpu", torch.bfloat16):
        layer(RICH, "bptt", dtype=torch.float32)(sequences().float())
        assert torch.is_autocast_enabled("cpu")
    assert seen == [(False, {torch.bfloat16})]


def types_of_torchs_layer(values):
    """The types that torch.nn.LSTM answers in under autocast."""
    try:
        with torch.autocast("cpu", torch.bfloat16):
            return {part.dtype for part in flat(nn.LSTM(3, 4)(values))}
    except RuntimeError:  # oneDNN has no LSTM in bfloat16 for a CPU without AVX-512
        assert not torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return {torch.bfloat16}  # what it answers in elsewhere


@pytest.mark.parametrize(("cell", "backend"), IN_HALF_PRECISION)
def test_autocast_runs_the_layer_in_its_type_as_it_does_torchs(cell, backend):
    lstm = layer(cell, backend, dtype=torch.float32)
    values, hx = sequences().float(), lstm.initial_state(3)
    with torch.autocast("cpu", torch.bfloat16):
        parts = flat(lstm(values, hx))
        again = flat(lstm(values.bfloat16()))
        with pytest.raises(ValueError, match=r"input has type torch\.float64"):
            lstm(values.double())
        assert layer(cell, backend)(values.double())[0].dtype == torch.float64  # autocast leaves float64 alone
    assert {part.dtype for part in parts} == types_of_torchs_layer(values) == {torch.bfloat16}
    assert_same(again, parts)
    parts[0].sum().backward()
    plain = layer(cell, backend, dtype=torch.bfloat16)
    with torch.no_grad():
        assert_same(parts, flat(plain(values.bfloat16())))
    assert all(weight.grad.dtype == torch.float32 for weight in lstm.parameters())
    assert all(weight.grad.abs().max() > 0 for weight in lstm.parameters())
