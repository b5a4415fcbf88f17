"""PyTorch's transforms of a layer: functional calls, vmap, derivatives both ways, gradients of gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn.utils import parametrize

from nn.layers import CELLS, ENGINES, LENGTHS, OPAQUE, assert_same, flat, layer, sequences

# torch's own forward-mode rules still use them
pytestmark = pytest.mark.filterwarnings(r"ignore:`torch.jit.\w+` is deprecated:DeprecationWarning")

SEEN_BY_PYTORCH = [engine for engine in ENGINES if engine.values[1] not in OPAQUE]


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


@pytest.mark.costly
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
