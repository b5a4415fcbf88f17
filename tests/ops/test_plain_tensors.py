"""Tensors that are not what stands at their address: what becomes of them, and who is shown operators."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode

from equivalence.engines import BACKENDS, needs_kernels, on_every_backend
from longlag import LSTM, CellSpec
from longlag.errors import InputError

pytestmark = pytest.mark.filterwarnings(r"ignore:`torch.jit.\w+` is deprecated:DeprecationWarning")

RICH = CellSpec(peepholes=True, gate_recurrence=True)
STEPS, SAMPLES, FEATURES, HIDDEN = 5, 2, 3, 4


def negated(tensor: Tensor) -> Tensor:
    """The same numbers, whose memory holds others and a pending sign; ``torch.fft.rfft(x).conj().imag`` is such one."""
    pending = torch._neg_view(-tensor.detach())
    assert pending.is_neg()
    return pending


def misaligned(tensor: Tensor) -> Tensor:
    """The same numbers, one byte behind an address that fits their type."""
    memory = torch.zeros(tensor.nbytes + 1, dtype=torch.uint8).numpy()
    copied = torch.frombuffer(memory, dtype=tensor.dtype, count=tensor.numel(), offset=1).view(tensor.shape)
    copied.copy_(tensor.detach())
    assert copied.data_ptr() % tensor.element_size()
    return copied


class Named(Tensor):
    """A class of its own, and nothing else."""


ODD: dict[str, Callable[[Tensor], Tensor]] = {
    "a pending sign": negated,
    "a misaligned address": misaligned,
    "a class of its own": lambda tensor: tensor.detach().as_subclass(Named),
}
odd_ones = pytest.mark.parametrize("made_odd", ODD.values(), ids=ODD)
every_backend = pytest.mark.parametrize(
    ("cell", "backend"),
    on_every_backend({"plain": CellSpec(), "rich": RICH}, CellSpec()),
)


def made(cell: CellSpec = RICH, backend: str = "auto", **options: object) -> LSTM:
    torch.manual_seed(0)
    return LSTM(FEATURES, HIDDEN, cell=cell, backend=backend, dtype=torch.float64, **options)


def some(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def gradients(lstm: LSTM, values: Tensor, hx: tuple[Tensor, ...], error: Tensor) -> list[Tensor]:
    """Outputs, final state, and all gradients."""
    leaves = [tensor.requires_grad_() for tensor in (values, *hx)]
    outputs, state = lstm(values, hx)
    weights = list(lstm.parameters())
    found = torch.autograd.grad((outputs, *state), [*leaves, *weights], (error, *map(torch.ones_like, state)))
    return [outputs, *state, *found]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.as_subclass(Tensor), other, rtol=0, atol=1e-12)


# -- made plain ------------------------------------------------------------------------------------------------------


@every_backend
@odd_ones
def test_odd_inputs_states_weights_and_errors_are_read_as_the_numbers_they_stand_for(made_odd, cell, backend) -> None:
    lstm = made(cell, backend)
    values, error = some(STEPS, SAMPLES, FEATURES), some(STEPS, SAMPLES, HIDDEN)
    hx = tuple(some(*part.shape) for part in lstm.initial_state(SAMPLES))
    expected = gradients(lstm, values.clone(), tuple(part.clone() for part in hx), error)
    assert_same(gradients(lstm, made_odd(values), hx, error), expected)
    assert_same(gradients(lstm, values, tuple(map(made_odd, hx)), error), expected)
    assert_same(gradients(lstm, values, hx, made_odd(error)), expected)
    with_odd_weights(lstm, made_odd)
    assert_same(gradients(lstm, values, hx, error), expected)


def with_odd_weights(lstm: nn.Module, made_odd: Callable[[Tensor], Tensor]) -> None:
    for name, weight in list(lstm.named_parameters()):
        lstm.register_parameter(name, nn.Parameter(made_odd(weight)))


@needs_kernels
@odd_ones
def test_a_step_reads_the_numbers_that_odd_tensors_stand_for(made_odd) -> None:
    lstm, x = made(num_layers=2), some(SAMPLES, FEATURES)
    hx = tuple(some(*part.shape) for part in lstm.initial_state(SAMPLES))
    with torch.no_grad():
        expected = lstm.step(x, hx)
        found = [lstm.step(made_odd(x), hx), lstm.step(x, tuple(map(made_odd, hx)))]
        with_odd_weights(lstm, made_odd)
        found.append(lstm.step(x, hx))
    for output, state in found:
        assert_same([output, *state], [expected[0], *expected[1]])


@needs_kernels
def test_a_step_notices_a_weight_whose_sign_changes_where_it_stands() -> None:
    lstm, x = made(), some(SAMPLES, FEATURES)
    with torch.no_grad():
        lstm.step(x, lstm.initial_state(SAMPLES))
        weight = lstm.weight_ih_l0
        lstm.weight_ih_l0 = nn.Parameter(torch._neg_view(weight.detach()))
        assert lstm.weight_ih_l0.data_ptr() == weight.data_ptr()
        found = lstm.step(x, lstm.initial_state(SAMPLES))[0]
        expected = lstm(x[None])[0][0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@needs_kernels
@pytest.mark.parametrize("backend", ["native-samples", "native-units"])
def test_a_tensor_of_zeros_without_memory_is_one_of_zeros(backend: str) -> None:
    lstm, zeros = made(backend=backend), torch._efficientzerotensor((STEPS, SAMPLES, FEATURES), dtype=torch.float64)
    assert zeros.data_ptr() == 0
    expected = lstm(torch.zeros(STEPS, SAMPLES, FEATURES, dtype=torch.float64))[0]
    assert torch.equal(lstm(zeros)[0], expected)
    with torch.no_grad():
        lstm.step(torch.zeros(SAMPLES, FEATURES, dtype=torch.float64), lstm.initial_state(SAMPLES))
        assert torch.equal(lstm.step(zeros[0], lstm.initial_state(SAMPLES))[0], expected[0])
    state = tuple(torch._efficientzerotensor(part.shape, dtype=part.dtype) for part in lstm.initial_state(SAMPLES))
    values = some(STEPS, SAMPLES, FEATURES)
    assert torch.equal(lstm(values, state)[0], lstm(values)[0])


@needs_kernels
def test_saved_tensors_may_come_back_anywhere_in_memory() -> None:
    lstm, values, error = made(), some(STEPS, SAMPLES, FEATURES), some(STEPS, SAMPLES, HIDDEN)
    expected = gradients(lstm, values.clone(), lstm.initial_state(SAMPLES), error)

    def moved(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point() or tensor.dim() < 2:
            return tensor
        return tensor.transpose(0, 1).contiguous().transpose(0, 1)  # the same numbers in another order

    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, moved):
        found = gradients(lstm, values.clone(), lstm.initial_state(SAMPLES), error)
    assert_same(found, expected)


# -- refused in a sentence -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch._mkldnn])
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
def test_inputs_that_are_not_dense_are_refused_in_a_sentence(layout: torch.layout, backend: str) -> None:
    lstm, values = made(CellSpec(), backend).float(), torch.eye(FEATURES)
    odd = values.to_mkldnn() if layout == torch._mkldnn else values.to_sparse(layout=layout)
    with pytest.raises(InputError, match=rf"^input is of layout {layout}; expected a dense Tensor"):
        lstm(odd)


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_on_another_device_are_refused_in_a_sentence(backend: str) -> None:
    with pytest.raises(InputError, match=r"^input is on meta; the parameters are on cpu; expected the same"):
        made(CellSpec(), backend)(torch.zeros(STEPS, SAMPLES, FEATURES, dtype=torch.float64, device="meta"))


@needs_kernels
@pytest.mark.parametrize("backend", ["native-samples", "native-units"])
def test_weights_that_are_not_dense_are_refused_in_a_sentence(backend: str) -> None:
    lstm = made(backend=backend)
    lstm.weight_hh_l0 = nn.Parameter(lstm.weight_hh_l0.detach().to_sparse())
    with pytest.raises(InputError, match=r"is torch\.sparse_coo; expected a dense one"):
        lstm(some(STEPS, SAMPLES, FEATURES))
    with torch.no_grad(), pytest.raises(InputError, match=r"is torch\.sparse_coo; expected a dense one"):
        lstm.step(some(SAMPLES, FEATURES), lstm.initial_state(SAMPLES))


@pytest.fixture
def mesh() -> Iterator[object]:
    distributed = pytest.importorskip("torch.distributed")
    if not distributed.is_available():
        pytest.skip("this PyTorch has no torch.distributed")
    from torch.distributed.device_mesh import init_device_mesh
    from torch.testing._internal.distributed.fake_pg import FakeStore

    distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    try:
        yield init_device_mesh("cpu", (2,))
    finally:
        distributed.destroy_process_group()


@needs_kernels
def test_weights_that_are_spread_over_processes_are_refused_in_a_sentence(mesh) -> None:
    from torch.distributed.tensor import Shard, distribute_tensor

    lstm = made()
    with_odd_weights(lstm, lambda weight: distribute_tensor(weight.detach(), mesh, [Shard(0)]))
    with pytest.raises(InputError, match=r"is a DTensor, spread over processes; expected plain tensors"):
        lstm(some(STEPS, SAMPLES, FEATURES))
    with torch.no_grad(), pytest.raises(InputError, match=r"is a DTensor, spread over processes"):
        lstm.step(some(SAMPLES, FEATURES), made().initial_state(SAMPLES))


# -- whoever records is shown operators ------------------------------------------------------------------------------

CELLS = {"plain": CellSpec(), "rich": RICH}
traced = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # sizes are those of the example
both_cells = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


@both_cells
def test_make_fx_records_a_graph_that_answers_for_other_inputs(cell: CellSpec) -> None:
    lstm, others = made(cell), some(2, STEPS, SAMPLES, FEATURES)
    weights = list(lstm.parameters())

    def answers(values: Tensor) -> tuple[Tensor, ...]:
        outputs = lstm(values)[0]
        return outputs.detach(), *torch.autograd.grad(outputs.square().sum(), weights)

    graph = make_fx(answers)(others[0])
    assert_same(list(graph(others[1])), list(answers(others[1])))


@traced
@both_cells
def test_a_trace_answers_for_other_inputs(cell: CellSpec) -> None:
    lstm, others = made(cell), some(2, STEPS, SAMPLES, FEATURES)
    traced = torch.jit.trace(lstm, (others[0],), check_trace=False)
    (found, found_state), (expected, expected_state) = traced(others[1]), lstm(others[1])
    assert_same([found, *found_state], [expected, *expected_state])


class Answers(nn.Module):
    """A layer's outputs alone, for exporters that take modules of one argument."""

    def __init__(self, lstm: LSTM) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(self, values: Tensor) -> Tensor:
        return self.lstm(values)[0]


@traced
@both_cells
def test_what_torchscript_hands_to_onnx_is_made_of_pytorchs_own_operators_and_answers_right(cell, monkeypatch) -> None:
    lstm, others = made(cell), some(2, STEPS, SAMPLES, FEATURES)
    lstm(others[0])  # the engine that it remembers of this call is not for TorchScript
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    traced = torch.jit.trace(Answers(lstm), (others[0],), check_trace=False)
    assert {node.kind().split("::")[0] for node in traced.inlined_graph.nodes()} <= {"aten", "prim"}
    monkeypatch.undo()
    assert_same([traced(others[1])], [lstm(others[1])[0]])


class Noted(TorchDispatchMode):
    """Names of the operators that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, operator, types, arguments=(), keywords=None):
        self.names.append(str(operator))
        return operator(*arguments, **(keywords or {}))


@needs_kernels
@both_cells
def test_a_dispatch_mode_sees_the_kernels_operator_and_changes_no_bit(cell: CellSpec) -> None:
    lstm, values = made(cell, "native"), some(STEPS, SAMPLES, FEATURES)
    with Noted() as noted:
        found = lstm(values)[0]
    assert "longlag.layer.default" in noted.names
    assert torch.equal(found, lstm(values)[0])
    state = lstm.initial_state(SAMPLES)
    with torch.no_grad(), Noted() as noted:
        found = lstm.step(values[0], state)[0]
    assert "longlag.layer.default" in noted.names
    torch.testing.assert_close(found, lstm(values)[0][0], rtol=0, atol=1e-12)


@needs_kernels
@both_cells
def test_weights_of_a_class_that_wraps_others_are_shown_to_it(cell: CellSpec) -> None:
    lstm, values = made(cell), some(STEPS, SAMPLES, FEATURES)
    twin = copy.deepcopy(lstm)
    with_odd_weights(twin, lambda weight: TwoTensor(weight.detach(), weight.detach().clone()))
    assert torch.equal(twin(values)[0].a, lstm(values)[0])
    with torch.no_grad():
        output, _ = twin.step(values[0], lstm.initial_state(SAMPLES))
        assert torch.equal(output.b, lstm(values[:1])[0][0])
