"""OnlineLSTM as its users meet it."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

from longlag import CellSpec, OnlineLSTM
from longlag.errors import DivergenceError, InputError
from online.nets import same_state

CELLS = {
    "1997": CellSpec.hochreiter1997(cells_per_block=2),
    "gers": CellSpec.gers2000(),
    "peepholes": CellSpec.batch2013(forget_gate=True),
    "torch": CellSpec(),
    "units": CellSpec.hochreiter1997(conventional_units=2),
}


def stream(rng, steps, size=3):
    return [(rng.uniform(-1, 1, size), rng.uniform(-1, 1, 2)) for _ in range(steps)]


def live(net, events):
    """Predict, then learn; a target at every other event only."""
    said = []
    for n, (x, y) in enumerate(events):
        said.append(net.predict_one(x))
        net.learn_one(x, y if n % 2 else None)
    return torch.stack(said)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("update", ["step", "sequence"])
@pytest.mark.parametrize("networks", [None, 3])
def test_a_restored_learner_goes_on_with_the_same_bits(cell, update, networks, backend):
    rng = np.random.default_rng(0)
    options = {"blocks": 2, "cell": cell, "update": update, "networks": networks, "backend": backend}
    lead = () if networks is None else (networks,)
    events = [(rng.uniform(-1, 1, (*lead, 3)), rng.uniform(-1, 1, (*lead, 2))) for _ in range(20)]
    net = OnlineLSTM(3, 2, seed=1, **options)
    live(net, events[:11])
    saved = {name: value.clone() for name, value in net.state_dict().items()}
    other = OnlineLSTM(3, 2, seed=2, **options).load_state_dict(saved)
    assert same_state(saved, other.state_dict())
    assert torch.equal(live(net, events[11:]), live(other, events[11:]))
    net.reset(), other.reset()
    assert same_state(net.state_dict(), other.state_dict())


def _through_a_pickle(net):
    return pickle.loads(pickle.dumps(net))  # noqa: S301 - our own


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, _through_a_pickle], ids=["copy", "deepcopy", "pickle"])
def test_copies_go_on_alone_with_the_same_bits(twin, backend):
    events = stream(np.random.default_rng(0), 12)
    net = OnlineLSTM(3, 2, blocks=2, backend=backend)
    live(net, events[:5])
    net.predict_one(events[5][0])
    other = twin(net)
    other.learn_one(*events[5])
    net.learn_one(*events[5])
    assert torch.equal(live(net, events[6:]), live(other, events[6:]))


def test_predicting_changes_nothing_and_answers_what_learning_then_meets(backend):
    events = stream(np.random.default_rng(1), 6)
    net = OnlineLSTM(3, 2, backend=backend)
    live(net, events)
    before = net.state_dict()
    first = net.predict_one(events[0][0])
    assert torch.equal(first, net.predict_one(events[0][0]))
    assert same_state(before, net.state_dict())


def test_many_steps_in_one_call_are_the_same_as_one_by_one(backend):
    events = stream(np.random.default_rng(2), 40)
    one, many = (OnlineLSTM(3, 2, blocks=2, learning_rate=0.3, dtype=torch.float64, backend=backend) for _ in range(2))
    said = torch.stack([(one.predict_one(x), one.learn_one(x, y))[0] for x, y in events])
    answers = many.learn_many(np.stack([x for x, _ in events]), np.stack([y for _, y in events]))
    torch.testing.assert_close(answers, said, rtol=1e-12, atol=1e-13)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(many.state_dict()[name], value, rtol=1e-10, atol=1e-12)


def test_symbols_are_their_one_hot_vectors(backend):
    rng = np.random.default_rng(3)
    symbols, targets = rng.integers(0, 5, 30), rng.uniform(0, 1, (30, 2))
    one = OnlineLSTM(5, 2, symbols=True, dtype=torch.float64, backend=backend)
    other = OnlineLSTM(5, 2, dtype=torch.float64, backend=backend).load_state_dict(one.state_dict())
    torch.testing.assert_close(one.learn_many(symbols, targets), other.learn_many(np.eye(5)[symbols], targets))
    torch.testing.assert_close(one.state_dict()["weight_ih"], other.state_dict()["weight_ih"])


@pytest.mark.costly
def test_an_endless_stream_is_learned(backend):
    # the sum of this input and the one before: memory of one step
    rng = np.random.default_rng(4)
    net = OnlineLSTM(1, 1, blocks=4, cell=CellSpec.gers2000(), learning_rate=0.1, interval=0.5, backend=backend)
    x = rng.uniform(-0.5, 0.5, (6000 if backend == "native" else 2500, 1))
    y = x + np.roll(x, 1)
    errors = (net.learn_many(x, y).numpy() - y) ** 2
    assert errors[-500:].mean() < 0.5 * errors[1:301].mean()


def test_sequences_end_where_they_are_reset(backend):
    events = stream(np.random.default_rng(5), 7)
    net, fresh = (OnlineLSTM(3, 2, learning_rate=0.0, backend=backend) for _ in range(2))
    live(net, events)
    net.reset()
    assert torch.equal(net.predict_one(events[0][0]), fresh.predict_one(events[0][0]))


@pytest.mark.parametrize("cell", [*CELLS.values(), CellSpec.hochreiter1997(recurrence=False)], ids=[*CELLS, "alone"])
@pytest.mark.parametrize("reads", ["cells", "cells+inputs"])
def test_a_new_block_that_counts_for_nothing_changes_no_answer(cell, reads, backend):
    # with interval 0 the new block's weights are zero: its outputs are read by nobody, and it reads nothing
    events = stream(np.random.default_rng(6), 20)
    options = {"blocks": 2, "cell": cell, "reads": reads, "dtype": torch.float64, "backend": backend}
    net = OnlineLSTM(3, 2, **options)
    live(net, events[:8])
    wider = copy.deepcopy(net)
    wider.interval, before = 0.0, net.weight_count()
    wider.add_block()
    assert wider.blocks == 3
    assert wider.weight_count() > before
    torch.testing.assert_close(wider.predict_one(events[8][0]), net.predict_one(events[8][0]), rtol=1e-12, atol=1e-14)
    wider.learn_one(events[8][0]), net.learn_one(events[8][0])
    torch.testing.assert_close(wider.predict_one(events[9][0]), net.predict_one(events[9][0]), rtol=1e-12, atol=1e-14)
    kept = wider.state_dict()["weight_hh"]
    assert set(net.state_dict()["weight_hh"].flatten().tolist()) <= set(kept.flatten().tolist())


BAD_INPUTS = {
    "too wide": (
        lambda net: net.predict_one(np.zeros(4)),
        r"x is float64 of shape \(4,\); expected numbers of shape \(3,\)",
    ),
    "nan": (lambda net: net.predict_one([0.0, float("nan"), 0.0]), "x has a NaN"),
    "infinite": (lambda net: net.learn_one([0.0, float("inf"), 0.0]), "x has a NaN or infinite"),
    "text": (lambda net: net.predict_one(["a", "b", "c"]), "expected numbers"),
    "symbol": (lambda net: net.predict_one(1), r"shape \(\); expected numbers of shape \(3,\)"),
    "unpredicted": (lambda net: net.learn_one([0.1, 0.1, 0.1], [0.0, 0.0]), "not predicted"),
    "another x": (
        lambda net: (net.predict_one([0.1, 0.1, 0.1]), net.learn_one([0.2, 0.1, 0.1], [0.0, 0.0])),
        "not predicted",
    ),
    "target too wide": (lambda net: (net.predict_one([0.1] * 3), net.learn_one([0.1] * 3, [0.0] * 3)), "y is float64"),
    "target nan": (lambda net: (net.predict_one([0.1] * 3), net.learn_one([0.1] * 3, [0.0, np.nan])), "y has a NaN"),
    "target symbol": (lambda net: (net.predict_one([0.1] * 3), net.learn_one([0.1] * 3, 2)), r"outside 0\.\.1"),
    "steps": (lambda net: net.learn_many(np.zeros((4, 3)), np.zeros((3, 2))), "ys has 3 steps; expected 4"),
}


@pytest.mark.parametrize(("act", "said"), BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_a_bad_input_is_refused_and_leaves_everything_as_it_was(act, said, backend):
    net = OnlineLSTM(3, 2, blocks=2, backend=backend)
    live(net, stream(np.random.default_rng(0), 6))
    before = net.state_dict()
    with pytest.raises(InputError, match=said) as refused:
        act(net)
    assert "\n" not in str(refused.value)
    assert same_state(before, net.state_dict())


@pytest.mark.parametrize("symbol", [-1, 5, 2.0, True, [1]])
def test_a_symbol_out_of_range_is_refused(symbol, backend):
    net = OnlineLSTM(5, 1, symbols=True, backend=backend)
    with pytest.raises(InputError, match=r"symbols? .*0\.\.4"):
        net.predict_one(symbol)


def test_an_answer_that_is_not_finite_is_not_learned_from(backend):
    net = OnlineLSTM(1, 1, learning_rate=1e30, backend=backend)
    with pytest.raises(DivergenceError, match="smaller learning_rate"):
        net.learn_many(np.ones((20, 1)), np.full((20, 1), 0.5))


def beyond_the_largest_number(net):
    """Weights that are finite, and answers that are not."""
    state = net.state_dict()
    state["readout.weight"] = torch.full_like(state["readout.weight"], 3e38)
    state["readout.bias"] = torch.full_like(state["readout.bias"], 3e38)
    return net.load_state_dict(state)


@pytest.mark.parametrize(
    "act",
    [
        lambda net: net.predict_one([1.0]),
        lambda net: net.learn_one([1.0]),
        lambda net: net.learn_many([[1.0]]),
        lambda net: net.learn_many([[1.0]], [0.5]),
    ],
    ids=["predict", "read on", "read on in one call", "learn"],
)
def test_an_answer_that_is_not_finite_is_never_given(act, backend):
    net = beyond_the_largest_number(OnlineLSTM(1, 1, reads="cells+inputs", blocks=2, backend=backend))
    before = net.state_dict()
    with pytest.raises(DivergenceError, match="not finite"):
        act(net)
    for name in net.topology.weight_shapes:
        assert torch.equal(net.state_dict()[name], before[name])


def test_changes_of_a_sequence_that_are_not_finite_are_not_made(backend):
    net = OnlineLSTM(2, 1, update="sequence", networks=2, backend=backend)
    net.learn_many(np.ones((2, 3, 2)), np.ones((2, 3)))
    state = net.state_dict()
    state["readout.bias"] = torch.full_like(state["readout.bias"], 2e38)
    state["waiting.readout.bias"][1] = 2e38
    net.load_state_dict(state)
    with pytest.raises(DivergenceError, match="none was made"):
        net.reset()
    after = net.state_dict()
    for name in net.topology.weight_shapes:
        assert torch.equal(after[name][0], state[name][0] + state[f"waiting.{name}"][0])
        assert torch.equal(after[name][1], state[name][1])
        assert not after[f"waiting.{name}"].any()
    assert not after["state.cells"].any()
