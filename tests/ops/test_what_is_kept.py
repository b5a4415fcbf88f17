"""What engines keep between the way there and the way back, and where they keep it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch
from torch import Tensor

from equivalence.compare import Layer, distance
from equivalence.engines import BUILT, kernels, needs_kernels, on_every_backend
from longlag import LSTM, CellSpec
from longlag.ops import bptt, reference, select
from longlag.ops.checkpointing import Checkpointed
from longlag.ops.engine import CallOptions, Engine, LayerCall, Request
from longlag.ops.layer import State
from longlag.ops.paths import FULL
from ops.examples import CELLS, example

RICH = CELLS["2013"]
TWO_CELLS = {"plain": CellSpec(), "rich": RICH}
every_backend = pytest.mark.parametrize(("cell", "backend"), on_every_backend(TWO_CELLS, CellSpec()))

ENGINES: dict[str, Layer] = {
    "reference": reference.layer,
    "bptt": bptt.layer,
    **{name: kernels(name.removeprefix("native-")) for name in BUILT},
    **{f"{name}, checkpoints": kernels(name.removeprefix("native-"), 2) for name in BUILT},
}
every_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


def made(cell: CellSpec, backend: str, **options: object) -> LSTM:
    torch.manual_seed(0)
    return LSTM(3, 4, cell=cell, backend=backend, dtype=torch.float64, **options)


def some(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


# -- changed in place before the way back ------------------------------------------------------------------------------


@every_backend
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}, {"checkpoint_every": 2}], ids=str)
def test_a_buffer_of_lengths_may_be_filled_anew_before_the_way_back(options, cell, backend) -> None:
    lstm, values = made(cell, backend, **options), some(5, 3, 3)
    gradients = []
    for changed in (False, True):
        lengths = torch.tensor([5, 1, 3])
        total = lstm(values, lengths=lengths)[0].square().sum()
        if changed:
            lengths.copy_(torch.tensor([70, -1, 200_000]))
        gradients.append(torch.autograd.grad(total, list(lstm.parameters())))
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


@every_engine
def test_lengths_that_are_changed_in_place_change_no_gradient_in_silence(engine: Layer) -> None:
    call = example(RICH).along(FULL)
    weight = call.weights.recurrent.requires_grad_()

    def gradient(new: list[int]) -> Tensor:
        lengths = torch.tensor([3, 1])
        outputs, _ = engine(call._replace(lengths=lengths))
        lengths.copy_(torch.tensor(new))
        return torch.autograd.grad(outputs.square().sum(), weight)[0]

    expected = gradient([3, 1]) if engine is reference.layer else None
    if expected is not None:  # which reads lengths on the way there alone
        assert torch.equal(gradient([1, 200_000]), expected)
        return
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        gradient([1, 200_000])


@every_backend
@pytest.mark.parametrize("what", ["input", "state", "weight"])
@pytest.mark.parametrize("every", [None, 2])
def test_numbers_that_are_changed_in_place_before_the_way_back_change_no_gradient_in_silence(
    every, what, cell, backend
) -> None:
    lstm = made(cell, backend, checkpoint_every=every)
    values, hx = some(5, 2, 3), tuple(some(*part.shape) for part in lstm.initial_state(2))
    weights = list(lstm.parameters())
    expected = torch.autograd.grad(lstm(values, hx)[0].square().sum(), weights)
    total = lstm(values, hx)[0].square().sum()
    changed = {"input": values, "state": hx[0], "weight": lstm.weight_hh_l0}[what]
    with torch.no_grad():
        changed.mul_(2.0)
    try:
        found = torch.autograd.grad(total, weights)
    except RuntimeError as error:
        message = str(error)
    else:  # an engine may have made a copy
        assert what != "weight"
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
        return
    assert "modified by an inplace operation" in message


# -- drawn twice, the same -----------------------------------------------------------------------------------------


class Noisy(Engine):
    """The reference, with noise on its inputs while it is training."""

    name, fields = "noisy", reference.FIELDS

    def run(self, call: LayerCall) -> tuple[Tensor, State]:
        if call.options.training:
            noise = torch.empty_like(call.inputs).normal_(generator=call.options.generator)
            call = call._replace(inputs=call.inputs + noise)
        return reference.layer(call)


@pytest.mark.parametrize("seeded", [True, False], ids=["a generator", "the global one"])
def test_a_checkpointed_engine_draws_the_same_numbers_again(seeded: bool) -> None:
    call = example(RICH).along(FULL)
    weight = call.weights.recurrent.requires_grad_()
    found = []
    for engine, every in ((Noisy(), 0), (Checkpointed(Noisy()), 3)):
        generator = torch.Generator().manual_seed(7)
        torch.manual_seed(7)
        options = CallOptions(training=True, generator=generator if seeded else None, checkpoint_every=every)
        outputs, _ = engine.run(call._replace(options=options))
        gradient = torch.autograd.grad(outputs.square().sum(), weight)[0]
        found.append([outputs, gradient, generator.get_state(), torch.get_rng_state()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_layer_tells_its_engine_whether_it_is_training_and_what_numbers_are_drawn_from(monkeypatch) -> None:
    lstm, values, generator = made(RICH, "reference"), some(5, 2, 3), torch.Generator()
    asked: list[CallOptions] = []

    def spy(call: LayerCall) -> tuple[Tensor, State]:
        asked.append(call.options)
        return reference.layer(call)

    monkeypatch.setattr(select.ENGINES["reference"], "run", spy)
    lstm(values)
    lstm.eval()
    lstm(values)
    lstm(values, options=CallOptions(training=True, generator=generator))
    assert [options.training for options in asked] == [True, False, True]
    assert [options.generator for options in asked] == [None, None, generator]


# -- nothing where nobody comes back ---------------------------------------------------------------------------------


@contextmanager
def kept(monkeypatch: pytest.MonkeyPatch, backend: str) -> Iterator[list[bool]]:
    """Whether each call inside writes a tape."""
    tapes: list[bool] = []
    if backend == "bptt":
        record = bptt.record

        def watched(*given: object, keep: bool) -> object:
            tapes.append(keep)
            return record(*given, keep=keep)

        module, name = bptt, "record"
    else:
        from longlag.ops import native

        forward, module, name = native.forward, native, "forward"

        def watched(*given: object) -> object:
            tapes.append(given[-1] is not None)
            return forward(*given)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, watched)
        yield tapes


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("backend", ["bptt", *[pytest.param(name, marks=needs_kernels) for name in BUILT]])
def test_no_tape_is_written_where_no_gradient_can_be_asked_for(backend, mode, monkeypatch) -> None:
    lstm, values = made(RICH, backend), some(5, 2, 3)
    with kept(monkeypatch, backend) as tapes:
        with mode():
            found = lstm(values, lengths=[5, 2])
        expected = lstm(values, lengths=[5, 2])
        lstm.requires_grad_(False)(values)
    assert tapes == [False, True, False]
    assert distance([found[0], *found[1]], [expected[0], *expected[1]]) == 0.0


# -- on the device of what came in -----------------------------------------------------------------------------------


@contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@every_backend
@pytest.mark.parametrize("inside", [default_device, lambda: torch.device("meta")], ids=["set_default_device", "with"])
@pytest.mark.parametrize("every", [None, 2])
def test_a_layer_runs_where_its_weights_are_whatever_the_default_device(
    every, inside: Callable[[], AbstractContextManager[object]], cell: CellSpec, backend: str
) -> None:
    lstm, values, lengths = made(cell, backend, checkpoint_every=every), some(5, 3, 3), torch.tensor([5, 0, 2])
    state = lstm.initial_state(3)

    def answers() -> list[Tensor]:
        outputs, after = lstm(values, lengths=lengths)
        whole = lstm(values)[0]
        found = torch.autograd.grad(outputs.square().sum() + whole.sum(), list(lstm.parameters()))
        with torch.no_grad():
            output, stepped = lstm.step(values[0], state)
        return [outputs, *after, whole, *found, output, *stepped]

    expected = answers()
    with inside():
        found = answers()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_a_request_is_refused_by_engines_that_cannot_do_what_it_wishes() -> None:
    inputs = torch.zeros(3, 2, 4)
    for name, engine in select.ENGINES.items():
        request = Request(CellSpec(), FULL, inputs, 8, options=CallOptions(per_sample=[]))
        assert (engine.refuses(request) is None) == (name in BUILT)
