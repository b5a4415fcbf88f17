"""With the default cell longlag.LSTM is torch.nn.LSTM: numbers, gradients, seeds, checkpoints and errors."""

from __future__ import annotations

import functools
import warnings
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

import longlag
from equivalence.engines import BACKENDS

FORMS = ("padded", "batch first", "unbatched", "packed", "packed unsorted")
STEPS, SAMPLES, FEATURES, HIDDEN = 4, 3, 3, 4


def twins(*, backend: str = "auto", dtype: torch.dtype = torch.float64, **options: object):
    """A torch.nn.LSTM and ours with the same options, each made after the same seed."""
    torch.manual_seed(7)
    theirs = torch.nn.LSTM(FEATURES, HIDDEN, dtype=dtype, **options)
    torch.manual_seed(7)
    return theirs, longlag.LSTM(FEATURES, HIDDEN, dtype=dtype, backend=backend, **options)


def values_for(form: str, dtype: torch.dtype = torch.float64) -> Tensor:
    """The numbers of an input, as a leaf that wants a gradient."""
    shape = {"batch first": (SAMPLES, STEPS), "unbatched": (STEPS,)}.get(form, (STEPS, SAMPLES))
    return torch.randn(*shape, FEATURES, dtype=dtype, requires_grad=True)


def arranged(values: Tensor, form: str) -> Tensor | PackedSequence:
    """The layer's input made of them."""
    if form == "packed":
        return pack_padded_sequence(values, torch.tensor([4, 2, 1]))
    if form == "packed unsorted":
        return pack_padded_sequence(values, torch.tensor([2, 4, 1]), enforce_sorted=False)
    return values


def first_state(lstm: torch.nn.LSTM, form: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    places = lstm.num_layers * (2 if lstm.bidirectional else 1)
    shape = (places,) if form == "unbatched" else (places, SAMPLES)
    return tuple(
        torch.randn(*shape, width, dtype=dtype, requires_grad=True)
        for width in (lstm.proj_size or lstm.hidden_size, lstm.hidden_size)
    )


def answers_and_gradients(lstm, values: Tensor, form: str, hx=None) -> dict[str, Tensor]:
    """All that a user can see: outputs, states, and the gradient of a fixed random scalar of all of them."""
    output, (last, cells) = lstm(arranged(values, form), hx)
    outputs = output.data if isinstance(output, PackedSequence) else output
    numbers = torch.Generator().manual_seed(3)
    total = sum(
        (value * torch.randn(value.shape, dtype=value.dtype, generator=numbers)).sum()
        for value in (outputs, last, cells)
    )
    wanted = {"input": values, **dict(lstm.named_parameters())}
    if hx is not None:
        wanted |= {"h_0": hx[0], "c_0": hx[1]}
    found = torch.autograd.grad(total, list(wanted.values()))
    gradients = {f"gradient of {name}": gradient for name, gradient in zip(wanted, found, strict=True)}
    return {"output": outputs.detach(), "h_n": last.detach(), "c_n": cells.detach(), **gradients}


@functools.cache
def answers_of_torch(**options: object) -> list[tuple[str, Tensor, tuple[Tensor, Tensor] | None, dict[str, Tensor]]]:
    """In every form, without and with a state: values, state, and what torch.nn.LSTM, made after seed 7, answers."""
    found = []
    for form, with_state in product(FORMS, (True, False)):
        theirs, _ = twins(batch_first=form in ("batch first", "packed"), **options)
        values = values_for(form)
        hx = first_state(theirs, form) if with_state else None
        found.append((form, values, hx, answers_and_gradients(theirs, values, form, hx)))
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("proj_size", [0, 2], ids=["plain", "projected"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_outputs_states_and_all_gradients_are_torchs(num_layers, bidirectional, proj_size, bias, backend):
    options = {"num_layers": num_layers, "bias": bias, "bidirectional": bidirectional, "proj_size": proj_size}
    for form, values, hx, expected in answers_of_torch(**options):
        torch.manual_seed(7)
        batch_first = form in ("batch first", "packed")
        ours = longlag.LSTM(FEATURES, HIDDEN, dtype=torch.float64, backend=backend, batch_first=batch_first, **options)
        found = answers_and_gradients(ours, values, form, hx)
        for name, value in expected.items():
            torch.testing.assert_close(
                found[name], value, rtol=0, atol=1e-10, msg=lambda text, at=(form, name): f"{at}: {text}"
            )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_packed_sequence_comes_back_packed_the_same_way(backend):
    theirs, ours = twins(backend=backend, bidirectional=True, batch_first=True)  # which a packed input ignores
    for form in ("packed", "packed unsorted"):
        given = arranged(values_for(form), form)
        expected, found = theirs(given)[0], ours(given)[0]
        assert torch.equal(found.batch_sizes, expected.batch_sizes)
        for name in ("sorted_indices", "unsorted_indices"):
            index = getattr(expected, name)
            assert getattr(found, name) is None if index is None else torch.equal(getattr(found, name), index)


@pytest.mark.parametrize("backend", BACKENDS)
def test_float32_is_as_near_to_the_float64_answer_as_torchs_own_float32(backend):
    # Both round at every one of 50 steps, in different orders, so neither is exact. Against the same weights in
    # float64 ours may miss four times as far as torch does, and by 4 ulp of the largest number where torch is lucky.
    torch.manual_seed(1)
    theirs = torch.nn.LSTM(8, 16, 2, bidirectional=True)
    ours = longlag.LSTM(8, 16, 2, bidirectional=True, backend=backend)
    exact = torch.nn.LSTM(8, 16, 2, bidirectional=True, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    exact.load_state_dict(theirs.state_dict())
    leaf = torch.randn(50, 5, 8, requires_grad=True)
    wide = leaf.detach().double().requires_grad_()
    # the random weights of the scalar must be the same numbers in both types
    numbers = [torch.randn(50, 5, 32), torch.randn(4, 5, 16), torch.randn(4, 5, 16)]

    def run(lstm, at: Tensor) -> dict[str, Tensor]:
        output, state = lstm(at)
        pairs = zip((output, *state), numbers, strict=True)
        wanted = {"input": at, **dict(lstm.named_parameters())}
        found = torch.autograd.grad(sum((value * number.to(at)).sum() for value, number in pairs), wanted.values())
        return {"output": output, "h_n": state[0], "c_n": state[1], **dict(zip(wanted, found, strict=True))}

    truth, torchs, found = run(exact, wide), run(theirs, leaf), run(ours, leaf)
    for name, value in truth.items():
        allowed = 4 * (torchs[name] - value).abs().max() + 4 * torch.finfo(torch.float32).eps * value.abs().max()
        assert (found[name] - value).abs().max() <= allowed, name


# -- seeds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proj_size", [0, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_the_same_seed_draws_the_same_first_weights_and_leaves_the_same_random_state(bias, proj_size):
    options = {"num_layers": 2, "bidirectional": True, "bias": bias, "proj_size": proj_size}
    torch.manual_seed(11)
    theirs = torch.nn.LSTM(3, 4, **options)
    after = torch.rand(3)
    torch.manual_seed(11)
    ours = longlag.LSTM(3, 4, **options)
    assert torch.equal(torch.rand(3), after)
    expected, found = dict(theirs.named_parameters()), dict(ours.named_parameters())
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    torch.manual_seed(5)
    theirs.reset_parameters()
    torch.manual_seed(5)
    ours.reset_parameters()
    assert all(torch.equal(getattr(ours, name), value) for name, value in theirs.named_parameters())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("form", ["padded", "batch first", "unbatched"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_same_seed_drops_the_same_units_in_training(bidirectional, form, backend):
    theirs, ours = twins(
        backend=backend, num_layers=3, dropout=0.5, bidirectional=bidirectional, batch_first=form == "batch first"
    )
    values = values_for(form)
    torch.manual_seed(2)
    expected = answers_and_gradients(theirs, values, form)
    torch.manual_seed(2)
    found = answers_and_gradients(ours, values, form)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-10)
    torch.manual_seed(3)
    assert not torch.allclose(ours(values)[0], expected["output"])  # there were units to drop


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_dropped_in_evaluation(backend):
    theirs, ours = twins(backend=backend, num_layers=3, dropout=0.5)
    given = values_for("padded")
    ours.eval()
    assert torch.equal(ours(given)[0], ours(given)[0])
    torch.testing.assert_close(ours(given)[0], theirs.eval()(given)[0], rtol=0, atol=1e-12)


# -- checkpoints ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proj_size", [0, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_a_state_dict_loads_strictly_both_ways(bias, proj_size):
    options = {"num_layers": 2, "bidirectional": True, "bias": bias, "proj_size": proj_size, "dtype": torch.float64}
    theirs, ours = torch.nn.LSTM(3, 4, **options), longlag.LSTM(3, 4, **options)
    given = torch.randn(5, 2, 3, dtype=torch.float64)
    assert not torch.allclose(ours(given)[0], theirs(given)[0])
    ours.load_state_dict(theirs.state_dict(), strict=True)
    torch.testing.assert_close(ours(given)[0], theirs(given)[0], rtol=0, atol=1e-12)
    ours.reset_parameters()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    torch.testing.assert_close(theirs(given)[0], ours(given)[0], rtol=0, atol=1e-12)
    assert list(ours.state_dict()) == list(theirs.state_dict())


# -- errors --------------------------------------------------------------------------------------------------------


def raised(call) -> Exception | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dropout with one layer warns before torch looks at the other arguments
        try:
            call()
        except Exception as error:
            return error
    return None


@pytest.mark.parametrize(
    "arguments",
    [
        {"input_size": 0}, {"input_size": -1}, {"input_size": 2.0}, {"input_size": "2"},
        {"hidden_size": 0}, {"hidden_size": -3}, {"hidden_size": 3.0}, {"hidden_size": None},
        {"num_layers": 0}, {"num_layers": -1}, {"num_layers": 1.5}, {"num_layers": "1"},
        {"proj_size": -1}, {"proj_size": 3}, {"proj_size": 4}, {"proj_size": "1"},
        {"bias": 1}, {"bias": "yes"}, {"batch_first": 0}, {"batch_first": None},
        {"dropout": -0.1}, {"dropout": 1.1}, {"dropout": True}, {"dropout": "0.5"}, {"dropout": float("nan")},
        {"nonsense": 1},
    ],
    ids=lambda arguments: " ".join(f"{name}={value!r}" for name, value in arguments.items()),
)  # fmt: skip
def test_impossible_arguments_raise_what_torch_raises(arguments):
    options = {"input_size": 2, "hidden_size": 3} | arguments
    expected = raised(lambda: torch.nn.LSTM(**options))
    found = raised(lambda: longlag.LSTM(**options))
    assert expected is not None
    assert isinstance(found, type(expected)), f"torch: {expected!r}; ours: {found!r}"


def _state(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


WRONG_CALLS = {
    "0-D input": (_state(),),
    "1-D input": (_state(3),),
    "4-D input": (_state(1, 1, 1, 3),),
    "too many features": (_state(4, 2, 5),),
    "another float": (_state(4, 2, 3, dtype=torch.float32),),
    "whole numbers": (_state(4, 2, 3, dtype=torch.int64),),
    "h of another batch": (_state(4, 2, 3), (_state(2, 1, 4), _state(2, 2, 4))),
    "c of another batch": (_state(4, 2, 3), (_state(2, 2, 4), _state(2, 1, 4))),
    "h too wide": (_state(4, 2, 3), (_state(2, 2, 5), _state(2, 2, 4))),
    "c too wide": (_state(4, 2, 3), (_state(2, 2, 4), _state(2, 2, 5))),
    "h of fewer layers": (_state(4, 2, 3), (_state(1, 2, 4), _state(2, 2, 4))),
    "2-D state for a batch": (_state(4, 2, 3), (_state(2, 4), _state(2, 4))),
    "3-D state for one sequence": (_state(4, 3), (_state(2, 1, 4), _state(2, 1, 4))),
    "state of another float": (_state(4, 2, 3), (_state(2, 2, 4, dtype=torch.float32),) * 2),
    "one tensor as state": (_state(4, 2, 3), _state(2, 2, 4)),
    "three tensors as state": (_state(4, 2, 3), (_state(2, 2, 4),) * 3),
    "packed 1-D sequences": (pack_sequence([_state(4)]),),
    "packed 3-D sequences": (pack_sequence([_state(4, 2, 3)]),),
    "packed another float": (pack_sequence([_state(4, 3, dtype=torch.float32)]),),
    "no tensor": (None,),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", WRONG_CALLS)
def test_a_wrong_input_or_state_raises_what_torch_raises(name, backend):
    theirs, ours = twins(backend=backend, num_layers=2)
    expected = raised(lambda: theirs(*WRONG_CALLS[name]))
    found = raised(lambda: ours(*WRONG_CALLS[name]))
    assert expected is not None
    assert isinstance(found, type(expected)), f"torch: {expected!r}; ours: {found!r}"


def test_a_wrong_packed_input_is_refused_in_words():
    # torch leaves these to its kernels: in float32 some answer (torch 2.13, CPU), in float64 they fail in a product
    _, ours = twins()
    with pytest.raises(RuntimeError, match="Expected 3, got 5"):
        ours(pack_sequence([_state(4, 5)]))
    with pytest.raises(RuntimeError, match="its data is 3-D, expected 2-D"):
        ours(pack_sequence([_state(4, 2, 3)]))
    with pytest.raises(RuntimeError, match="Expected hidden"):
        ours(pack_sequence([_state(4, 3)]), (_state(1, 2, 4), _state(1, 2, 4)))


def test_dropout_with_one_layer_warns_as_torch_does():
    with pytest.warns(UserWarning, match="num_layers greater than 1") as theirs:
        torch.nn.LSTM(2, 3, dropout=0.5)
    with pytest.warns(UserWarning, match="num_layers greater than 1") as ours:
        longlag.LSTM(2, 3, dropout=0.5)
    assert str(ours[0].message) == str(theirs[0].message)
    assert ours[0].filename == __file__
