"""What PyTorch tests its own LSTM with, put to ours.

PyTorch ships sample constructions and inputs for nn.LSTM (``torch.testing._internal.common_modules``, which needs the
package expecttest). The first part runs them through ours; the second states again, for ours, what PyTorch's own
test files claim about nn.LSTM.
"""

from __future__ import annotations

import copy
import io
import warnings
from types import SimpleNamespace

import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence

import longlag
from equivalence.engines import BACKENDS, NATIVE
from nn.layers import flat

# -- the samples PyTorch ships -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> SimpleNamespace:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's internal test modules, none of them ours
        from torch.testing._internal import common_modules
    # Importing it freezes torch.backends' flags for the whole process: no business of the tests that follow.
    torch.backends.__allow_nonbracketed_mutation_flag = True
    (info,) = [info for info in common_modules.module_db if info.module_cls is nn.LSTM]

    def samples(*, dtype=torch.float64, requires_grad=False):
        found = info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=requires_grad, training=True)
        assert len(found) >= 32
        return [
            (sample.constructor_input.kwargs, sample.forward_input.args, sample.reference_fn)
            for sample in found
            if not sample.constructor_input.args and not sample.forward_input.kwargs
        ]

    def wrong():
        found = info.module_error_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=False, training=True
        )
        at_start = common_modules.ModuleErrorEnum.CONSTRUCTION_ERROR
        return [(sample.module_error_input, sample.error_on is at_start, sample.error_type) for sample in found]

    return SimpleNamespace(samples=samples, wrong=wrong)


def made(options: dict, *, dtype=torch.float64, **more) -> longlag.LSTM:
    torch.manual_seed(4)
    return longlag.LSTM(**options, dtype=dtype, **more)


def assert_same(found, expected, **tolerance) -> None:
    for ours, theirs in zip(flat(found), flat(expected), strict=True):
        torch.testing.assert_close(ours, theirs, **tolerance)


@pytest.mark.costly
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's word to its users
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_shipped_sample_has_torchs_answer_and_that_of_a_batch_of_one(shipped, dtype, training):
    for options, given, batch_of_one in shipped.samples(dtype=dtype):
        torch.manual_seed(4)
        theirs = nn.LSTM(**options, dtype=dtype).train(training)
        ours = made(options, dtype=dtype).train(training)
        assert_same(ours(*given), theirs(*given))
        assert_same(ours(*given), batch_of_one(ours, *given))


def as_function(lstm: longlag.LSTM, given: tuple) -> tuple:
    """The module as a function of tensors alone (input, initial state, every weight), and those tensors."""
    names, weights = zip(*lstm.named_parameters(), strict=True)

    def run(values, *rest):
        hx, weights = (rest[:2], rest[2:]) if len(rest) > len(names) else (None, rest)
        parameters = dict(zip(names, weights, strict=True))
        return tuple(flat(torch.func.functional_call(lstm, parameters, (values, hx))))

    return run, [given[0], *(given[1] if len(given) > 1 else ()), *weights]


@pytest.mark.costly
def test_every_shipped_sample_passes_gradcheck(shipped):
    for options, given, _ in shipped.samples(requires_grad=True):
        assert torch.autograd.gradcheck(*as_function(made(options), given), fast_mode=True), options


@pytest.mark.costly
@pytest.mark.parametrize("backend", BACKENDS)
def test_shipped_samples_pass_gradcheck_and_gradgradcheck_on_every_backend(shipped, backend):
    # every seventh (eleventh in make test-fast): each option takes both values, and each backend starts elsewhere
    stride = 11 if settings.get_current_profile_name() == "fast" else 7
    first = ("auto", "bptt", "reference", "torch", *NATIVE).index(backend)
    for options, given, _ in shipped.samples(requires_grad=True)[first::stride]:
        function, tensors = as_function(made(options, backend=backend), given)
        assert torch.autograd.gradcheck(function, tensors, fast_mode=True), options
        assert torch.autograd.gradgradcheck(function, tensors, fast_mode=True), options


@pytest.mark.costly
@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_order_of_the_inputs_changes_no_answer(shipped, backend):
    def gapped(tensor: Tensor) -> Tensor:
        return tensor.detach().repeat_interleave(2, dim=-1)[..., ::2].requires_grad_()

    for options, given, _ in shipped.samples(requires_grad=True):
        lstm = made(options, backend=backend)
        answers = []
        for change in (lambda tensor: tensor, gapped):
            values, hx = change(given[0]), None
            assert values.is_contiguous() == (change is not gapped)
            if len(given) > 1:
                hx = tuple(change(part) for part in given[1])
            answer = flat(lstm(values, hx))
            wanted = [values, *(hx or ()), *lstm.parameters()]
            answers.append([*answer, *torch.autograd.grad([part.sum() for part in answer], wanted)])
        for found, expected in zip(*answers, strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_a_module_saved_and_loaded_gives_the_same_bits(shipped):
    for options, given, _ in shipped.samples():
        lstm = made(options)
        with io.BytesIO() as file:
            torch.save(lstm, file)
            file.seek(0)
            loaded = torch.load(file, weights_only=False)
        assert_same(loaded(*given), lstm(*given), rtol=0, atol=0)
        assert repr(loaded) == repr(lstm)


def test_a_deep_copy_gives_the_same_bits_and_shares_no_weight(shipped):
    for options, given, _ in shipped.samples():
        lstm = made(options)
        other = copy.deepcopy(lstm)
        before = flat(lstm(*given))
        assert_same(other(*given), (before[0], before[1:]), rtol=0, atol=0)
        with torch.no_grad():
            for weight in other.parameters():
                weight.add_(1.0)
        assert_same(lstm(*given), (before[0], before[1:]), rtol=0, atol=0)
        assert not torch.allclose(flat(other(*given))[0], before[0])


def test_device_and_dtype_reach_every_parameter(shipped):
    for options, given, _ in shipped.samples():
        expected = made(options)(*given)
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            lstm = longlag.LSTM(**options, device="cpu", dtype=dtype)
            assert {weight.dtype for weight in lstm.parameters()} == {dtype}
        lstm = longlag.LSTM(**options, device="meta", dtype=torch.float64)
        assert all(weight.is_meta for weight in lstm.parameters())
        lstm = lstm.to_empty(device="cpu")
        torch.manual_seed(4)
        lstm.reset_parameters()
        assert_same(lstm(*given), expected, rtol=0, atol=0)
        with torch.device("meta"):
            assert longlag.LSTM(**options).weight_ih_l0.is_meta


def test_zero_grad_and_load_state_dict_do_what_they_say(shipped):
    for options, given, _ in shipped.samples():
        lstm, other = made(options), longlag.LSTM(**options, dtype=torch.float64)
        flat(lstm(*given))[0].sum().backward()
        assert all(weight.grad is not None for weight in lstm.parameters())
        lstm.zero_grad()
        assert all(weight.grad is None for weight in lstm.parameters())
        assert not torch.allclose(flat(other(*given))[0], flat(lstm(*given))[0])
        other.load_state_dict(lstm.state_dict())
        assert_same(other(*given), lstm(*given), rtol=0, atol=0)


def test_every_shipped_wrong_use_raises_the_error_torch_promises(shipped):
    cases = shipped.wrong()
    assert len(cases) >= 3
    for sample, at_start, kind in cases:
        start = sample.constructor_input
        if at_start:
            with pytest.raises(kind):
                longlag.LSTM(*start.args, **start.kwargs)
        else:
            lstm = longlag.LSTM(*start.args, **start.kwargs)
            with pytest.raises(kind):
                lstm(*sample.forward_input.args, **sample.forward_input.kwargs)


# -- what PyTorch's own test files claim, said again for ours ------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("proj_size", [0, 10])
def test_no_initial_state_is_a_state_of_zeros(proj_size, bidirectional, backend):
    lstm = longlag.LSTM(
        30, 20, 2, bidirectional=bidirectional, proj_size=proj_size, backend=backend, dtype=torch.float64
    )
    given, places = torch.randn(5, 6, 30, dtype=torch.float64), 4 if bidirectional else 2
    zeros = (given.new_zeros(places, 6, proj_size or 20), given.new_zeros(places, 6, 20))
    assert_same(lstm(given, zeros), lstm(given), rtol=0, atol=0)
    assert_same(lstm(given, lstm.initial_state(6)), lstm(given), rtol=0, atol=0)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("proj_size", [0, 2])
@pytest.mark.parametrize("wrong", ["input", "h batch", "h width", "h layers", "c batch", "c width", "c layers"])
def test_one_size_that_is_off_is_refused_whichever_it_is(wrong, proj_size, bidirectional):
    lstm = longlag.LSTM(3, 5, 2, bidirectional=bidirectional, proj_size=proj_size)
    places, off = 4 if bidirectional else 2, 7
    sizes = {
        "input": [6, 4, 3],
        "h": [places, 4, proj_size or 5],
        "c": [places, 4, 5],
    }
    right = {name: torch.zeros(size) for name, size in sizes.items()}
    lstm(right["input"], (right["h"], right["c"]))
    name, _, axis = wrong.partition(" ")
    sizes[name][{"": 2, "layers": 0, "batch": 1, "width": 2}[axis]] = off
    given = {name: torch.zeros(size) for name, size in sizes.items()}
    with pytest.raises(RuntimeError, match="xpected"):
        lstm(given["input"], (given["h"], given["c"]))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("chance", [0.0, 0.276, 0.731, 1.0])
def test_dropout_acts_on_what_the_second_layer_reads_and_scales_what_it_keeps(chance, backend):
    both = longlag.LSTM(10, 30, 2, dropout=chance, backend=backend, dtype=torch.float64)
    first, second = longlag.LSTM(10, 30, dtype=torch.float64), longlag.LSTM(30, 30, dtype=torch.float64)
    for alone, layer in ((first, "l0"), (second, "l1")):
        state = both.state_dict()
        alone.load_state_dict({name[:-2] + "l0": state[name] for name in state if name.endswith(layer)})
    given = torch.randn(4, 5, 10, dtype=torch.float64)
    hidden = first(given)[0]
    torch.manual_seed(6)
    mask = nn.functional.dropout(torch.ones_like(hidden), chance)
    if chance not in (0.0, 1.0):
        assert set(mask.unique().tolist()) == {0.0, 1 / (1 - chance)}
        assert (mask == 0).double().mean() == pytest.approx(chance, abs=0.06)  # 600 units: 3 standard deviations
    torch.manual_seed(6)
    torch.testing.assert_close(both(given)[0], second(hidden * mask)[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(both.eval()(given)[0], second(hidden)[0], rtol=0, atol=1e-12)


def test_dropout_may_be_changed_after_the_layer_was_made():
    lstm, given = longlag.LSTM(10, 30, 2, dtype=torch.float64), torch.randn(4, 5, 10, dtype=torch.float64)
    plain = lstm(given)[0]
    for chance in (0.0, 0.5, 1.0, 0.0):
        lstm.dropout = chance
        assert torch.equal(lstm.train()(given)[0], plain) == (chance == 0.0)
        assert torch.equal(lstm.eval()(given)[0], plain)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_dropout_draws_anew_at_each_call_and_again_the_same_after_a_seed_and_a_pickle(chance):
    lstm, given = longlag.LSTM(10, 30, 2, dropout=chance), torch.randn(4, 5, 10)
    torch.manual_seed(8)
    once, twice = lstm(given)[0], lstm(given)[0]
    assert torch.equal(once, twice) == (chance in (0.0, 1.0))
    with io.BytesIO() as file:
        torch.save(lstm, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=False)
    torch.manual_seed(8)
    assert torch.equal(loaded(given)[0], once)
    assert torch.equal(loaded(given)[0], twice)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_and_their_gradients_are_those_of_finite_differences(bias, backend):
    lstm = longlag.LSTM(4, 4, bias=bias, backend=backend, dtype=torch.float64)
    given = torch.rand(1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: flat(lstm(values))[0], [given])
    assert torch.autograd.gradgradcheck(lambda values: flat(lstm(values))[0], [given])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_kept_graph_gives_the_same_gradient_each_time(backend):
    lstm = longlag.LSTM(10, 20, 2, bidirectional=True, backend=backend, dtype=torch.float64)
    output = lstm(torch.randn(3, 4, 10, dtype=torch.float64))[0].sum()
    output.backward(retain_graph=True)
    first = [weight.grad.clone() for weight in lstm.parameters()]
    for _ in range(2):
        lstm.zero_grad()
        output.backward(retain_graph=True)
        assert all(torch.equal(weight.grad, before) for weight, before in zip(lstm.parameters(), first, strict=True))
    output.backward()  # without zero_grad gradients add up
    for weight, before in zip(lstm.parameters(), first, strict=True):
        torch.testing.assert_close(weight.grad, 2 * before, rtol=1e-14, atol=0)
    with pytest.raises(RuntimeError, match="second time"):
        output.backward()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_of_nobody_is_answered_and_teaches_nothing(backend):
    lstm = longlag.LSTM(3, 4, backend=backend)
    output, (last, cells) = lstm(torch.zeros(5, 0, 3))
    assert output.shape == (5, 0, 4)
    assert last.shape == cells.shape == (1, 0, 4)
    output.sum().backward()
    assert all(torch.equal(weight.grad, torch.zeros_like(weight)) for weight in lstm.parameters())


@pytest.mark.parametrize("backend", BACKENDS)
def test_weight_normalisation_keeps_the_answer_and_trains_length_and_direction(backend):
    lstm = longlag.LSTM(3, 4, backend=backend, dtype=torch.float64)
    given = torch.randn(5, 2, 3, dtype=torch.float64)
    before = lstm(given)[0]
    for name in ("weight_ih_l0", "weight_hh_l0"):
        lstm = parametrizations.weight_norm(lstm, name)
        length, direction = (lstm.parametrizations[name].original0, lstm.parametrizations[name].original1)
        assert direction.shape == (16, 3 if "ih" in name else 4)
        torch.testing.assert_close(lstm(given)[0], before, rtol=0, atol=1e-12)
        lstm.zero_grad()
        lstm(given)[0].sum().backward()
        assert length.grad.abs().max() > 0
        assert direction.grad.abs().max() > 0
        with torch.no_grad():
            length.mul_(2.0)
        assert not torch.allclose(lstm(given)[0], before)
        with torch.no_grad():
            length.mul_(0.5)
    for name in ("weight_ih_l0", "weight_hh_l0"):
        parametrize.remove_parametrizations(lstm, name)
    torch.testing.assert_close(lstm(given)[0], before, rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_parameter_put_in_the_place_of_another_is_the_one_that_is_used(backend):
    lstm, given = longlag.LSTM(3, 4, backend=backend), torch.randn(5, 2, 3)
    before = lstm(given)[0]
    lstm.weight_hh_l0 = nn.Parameter(torch.zeros(16, 4))
    changed = lstm(given)[0]
    assert not torch.allclose(changed, before)
    changed.sum().backward()
    assert lstm.weight_hh_l0.grad.abs().max() > 0


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # of restoring a flag that only Intel GPUs have
@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_second_derivatives_do_not_depend_on_onednn(backend):
    # float32, in which PyTorch takes oneDNN where the processor and the shapes allow it
    lstm = longlag.LSTM(8, 16, 2, bidirectional=True, backend=backend)
    answers = []
    values = torch.randn(6, 4, 8, requires_grad=True)
    for enabled in (True, False):
        with torch.backends.mkldnn.flags(enabled=enabled):
            output = lstm(values)[0]
            (slope,) = torch.autograd.grad(output.square().sum(), values, create_graph=True)
            answers.append([output, slope, *torch.autograd.grad(slope.square().sum(), lstm.parameters())])
    for found, expected in zip(*answers, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)  # float32 sums in another order


def test_a_packed_answer_can_be_padded_converted_and_saved_like_any_other():
    lstm = longlag.LSTM(3, 4, bidirectional=True)
    packed, _ = lstm(pack_sequence([torch.randn(n, 3) for n in (2, 5, 1)], enforce_sorted=False))
    padded, lengths = pad_packed_sequence(packed, total_length=7)
    assert padded.shape == (7, 3, 8)
    assert lengths.tolist() == [2, 5, 1]
    assert packed.double().data.dtype == torch.float64
    with io.BytesIO() as file:
        torch.save(packed, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=False)
    assert isinstance(loaded, PackedSequence)
    assert torch.equal(pad_packed_sequence(loaded, total_length=7)[0], padded)
