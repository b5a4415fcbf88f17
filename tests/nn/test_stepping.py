"""LSTM.step: a stream, one step at a time, gives what forward gives over the whole sequence."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from equivalence.engines import BACKENDS, NATIVE, instructions, needs_kernels
from longlag import LSTM, CellSpec
from longlag.errors import InputError, ShapeError
from longlag.ops import select

CELLS = {
    "plain": CellSpec(),
    "1997": CellSpec.hochreiter1997(cells_per_block=2, conventional_units=1),
    "2013": CellSpec.batch2013(forget_gate=True),
    "peepholes": CellSpec.graves2005(),
    "coupled": CellSpec.coupled(),
    "no recurrence": CellSpec(recurrence=False),
    "biases of gates": CellSpec(biases="gates"),
}
EXACT = 1e-12


def streamed(lstm: LSTM, values: torch.Tensor, state, inplace: bool = False):
    """Outputs of every step, and the last state."""
    outputs = []
    for x_t in values:
        output, state = lstm.step(x_t, state, inplace=inplace)
        outputs.append(output.clone())
    return torch.stack(outputs), state


def assert_close(found, expected) -> None:
    for one, other in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=EXACT)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 3}, {"proj_size": 2}, {"bias": False}], ids=str)
@pytest.mark.parametrize("samples", [1, 3])
def test_a_stream_gives_what_the_whole_sequence_gives(name, options, samples) -> None:
    lstm = LSTM(3, 6, dtype=torch.float64, cell=CELLS[name], **options)
    values = torch.randn(7, samples, 3, dtype=torch.float64)
    start = tuple(torch.randn_like(part) for part in lstm.initial_state(samples))
    with torch.no_grad():
        expected = lstm(values, start)
        assert_close(streamed(lstm, values, start), expected)
        kept = tuple(part.clone() for part in start)
        assert_close(streamed(lstm, values, kept, inplace=True), expected)
        assert_close((expected[0], kept), expected)  # the given state holds the last one
    assert_close(streamed(lstm, values, start), expected)  # with autograd: through forward


@needs_kernels
@pytest.mark.parametrize("hidden", [1, 5, 16, 18, 63])
@pytest.mark.parametrize("name", ["baseline", "avx2", "avx512"])
def test_it_does_on_every_instruction_set(name, hidden) -> None:
    from longlag import _native

    if name not in _native.instruction_sets():
        pytest.skip("this CPU has it not")
    lstm = LSTM(7, hidden, dtype=torch.float64, cell=CellSpec(peepholes=True))
    values = torch.randn(4, 2, 7, dtype=torch.float64)
    with torch.no_grad(), instructions(name):
        assert_close(streamed(lstm, values, lstm.initial_state(2)), lstm(values))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_every_backend_takes_unbatched_and_first_steps(backend, batch_first) -> None:
    lstm = LSTM(3, 4, dtype=torch.float64, backend=backend, batch_first=batch_first)
    values = torch.randn(5, 3, dtype=torch.float64)
    with torch.no_grad():
        expected = lstm(values)
        first, state = lstm.step(values[0])  # None: zeros
        assert first.shape == (4,)
        rest = streamed(lstm, values[1:], state)
        assert_close((torch.cat([first[None], rest[0]]), rest[1]), expected)


def test_a_gradient_goes_back_through_steps_as_through_the_sequence() -> None:
    lstm, values = LSTM(3, 4, 2, dtype=torch.float64), torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    wanted = [values, *lstm.parameters()]
    expected = torch.autograd.grad(lstm(values)[0].square().sum(), wanted)
    found = torch.autograd.grad(streamed(lstm, values, None)[0].square().sum(), wanted)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=EXACT)


def test_an_old_state_stays_what_it_was() -> None:
    lstm = LSTM(3, 4)
    with torch.no_grad():
        states = [lstm.initial_state(2)]
        for x_t in torch.randn(70, 2, 3):
            states.append(lstm.step(x_t, states[-1])[1])
        kept = [torch.cat(state).clone() for state in states]
        lstm.step(torch.randn(2, 3), states[5])
        assert all(torch.equal(torch.cat(state), before) for state, before in zip(states, kept, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        lambda lstm: lstm.weight_hh_l0.mul_(2.0),
        lambda lstm: lstm.weight_ih_l0.data.mul_(2.0),
        lambda lstm: setattr(lstm, "bias_hh_l0", nn.Parameter(torch.ones(16))),
        lambda lstm: setattr(lstm.weight_hh_l0, "data", torch.randn(4, 16).T),
        lambda lstm: lstm.load_state_dict(LSTM(3, 4).state_dict()),
        lambda lstm: lstm.double(),
        lambda lstm: lstm.double().float(),
        lambda lstm: parametrize.register_parametrization(lstm, "weight_hh_l0", nn.Tanh()),
    ],
    ids=[
        "in place",
        "behind autograd's back",
        "replaced",
        "transposed",
        "loaded",
        "double",
        "and back",
        "parametrised",
    ],
)
def test_weights_that_change_between_steps_are_noticed(change) -> None:
    lstm = LSTM(3, 4)
    with torch.no_grad():
        _, state = lstm.step(torch.randn(2, 3), lstm.initial_state(2))
        change(lstm)
        kind = lstm.weight_ih_l0.dtype
        values, state = torch.randn(2, 3, dtype=kind), tuple(part.to(kind) for part in state)
        expected = lstm(values[None], state)
        found = lstm.step(values, state)
        for one, other in zip((found[0], *found[1]), (expected[0][0], *expected[1]), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_the_number_of_samples_and_the_form_of_a_state_may_change() -> None:
    lstm = LSTM(3, 4, dtype=torch.float64)
    with torch.no_grad():
        for samples in (2, 1, 5, 2):
            values = torch.randn(3, samples, 3, dtype=torch.float64)
            assert_close(streamed(lstm, values, lstm.initial_state(samples)), lstm(values))
        wide = tuple(torch.randn(1, 2, 8, dtype=torch.float64)[..., ::2] for _ in range(2))
        x_t = torch.randn(2, 6, dtype=torch.float64)[:, ::2]
        expected = lstm(x_t[None], wide)
        assert_close((lstm.step(x_t, wide)[0][None], lstm.step(x_t, wide)[1]), expected)
        assert_close((lstm.step(x_t, list(wide))[0][None], lstm.step(x_t, list(wide))[1]), expected)


def test_copies_and_pickles_step_on_their_own() -> None:
    lstm = LSTM(3, 4)
    with torch.no_grad():
        x_t, state = torch.randn(1, 3), lstm.initial_state(1)
        expected = lstm.step(x_t, state)
        other = copy.deepcopy(lstm)
        other.weight_hh_l0.zero_()
        assert torch.equal(lstm.step(x_t, state)[0], expected[0])
        assert other.step(x_t, expected[1])[0].shape == (1, 4)


def test_functional_calls_and_vmap_step_too() -> None:
    lstm, x_t = LSTM(3, 4, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    with torch.no_grad():
        state = lstm.initial_state(6)
        lstm.step(x_t, state)
        expected = lstm.step(x_t, state)[0]
        each = tuple(part.transpose(0, 1) for part in state)
        found = torch.func.vmap(lambda x, h, c: lstm.step(x, (h, c))[0])(x_t, *each)
        torch.testing.assert_close(found, expected, rtol=0, atol=EXACT)


def test_what_cannot_be_stepped_is_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match="bidirectional"):
        LSTM(3, 4, bidirectional=True).step(torch.randn(2, 3))
    lstm = LSTM(3, 4)
    with pytest.raises(InputError, match="needs a state to write into"):
        lstm.step(torch.randn(2, 3), inplace=True)
    with pytest.raises(InputError, match="no_grad"):
        lstm.step(torch.randn(2, 3), lstm.initial_state(2), inplace=True)
    with torch.no_grad():
        state = lstm.initial_state(2)
        lstm.step(torch.randn(2, 3), state)
        for x_t, given in (
            (torch.randn(2, 5), state),
            (torch.randn(3, 3), state),
            (torch.randn(2, 3).double(), state),
            (torch.randn(1, 2, 3), state),
            (torch.randn(2, 3), state[:1]),
            (torch.randn(2, 3), tuple(part.double() for part in state)),
        ):
            with pytest.raises(ShapeError):
                lstm.step(x_t, given)


@needs_kernels
def test_the_kernels_take_the_steps_they_can(monkeypatch) -> None:
    for backend in ("native", *NATIVE):
        lstm = LSTM(3, 4, backend=backend)
        monkeypatch.setattr(lstm, "forward", None)  # a step that fell back would call it
        with torch.no_grad():
            assert lstm.step(torch.randn(2, 3), lstm.initial_state(2))[0].shape == (2, 4)
    assert select.native is not None


def test_a_state_whose_tensors_were_exchanged_is_looked_at_again() -> None:
    lstm = LSTM(3, 4)
    with torch.no_grad():
        x_t, state = torch.randn(2, 3), list(lstm.initial_state(2))
        lstm.step(x_t, state, inplace=True)
        state[0] = torch.randn(1, 2, 4)
        expected = lstm(x_t[None], tuple(part.clone() for part in state))[0][0]
        assert torch.allclose(lstm.step(x_t, state)[0], expected, atol=1e-6)
        _, after = lstm.step(x_t, state)
        after[0].data = torch.randn(1, 2, 4)
        expected = lstm(x_t[None], after)[0][0]
        assert torch.allclose(lstm.step(x_t, after)[0], expected, atol=1e-6)
        after[0].data = torch.randn(1, 1, 4)
        with pytest.raises(ShapeError):
            lstm.step(x_t, after)


def test_a_gradient_that_needs_a_state_which_a_step_has_overwritten_is_refused() -> None:
    lstm = LSTM(3, 4)
    state = lstm.initial_state(2)
    loss = lstm(torch.randn(5, 2, 3), state)[0].sum()
    with torch.no_grad():
        lstm.step(torch.randn(2, 3), state, inplace=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("steps", [1, 4])
def test_a_weight_of_another_shape_is_refused_before_a_kernel_reads_it(steps) -> None:
    lstm = LSTM(3, 4)
    with torch.no_grad():
        lstm.step(torch.randn(2, 3), lstm.initial_state(2))
        lstm.weight_hh_l0 = nn.Parameter(torch.zeros(3, 3))
        with pytest.raises((InputError, RuntimeError)):
            lstm.step(torch.randn(2, 3), lstm.initial_state(2))
        with pytest.raises((InputError, RuntimeError)):
            lstm(torch.randn(steps, 2, 3))
