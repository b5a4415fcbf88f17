"""What a learner takes as inputs and targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longlag import OnlineLSTM
from longlag.errors import InputError
from online.nets import same_state


def taught(net, x, y):
    net.predict_one(x)
    return net.learn_one(x, y).state_dict()


@pytest.mark.parametrize("whole", [0, 1, -3, np.int64(1), True])
def test_of_one_output_a_whole_number_is_a_value(whole, backend):
    def net():
        return OnlineLSTM(2, 1, backend=backend)

    x = [0.5, -0.5]
    wanted = taught(net(), x, [float(whole)])
    for y in (whole, float(whole), [whole], torch.tensor(float(whole)), np.array(whole)):
        assert same_state(taught(net(), x, y), wanted)


@pytest.mark.parametrize("networks", [None, 3])
def test_of_one_output_numbers_are_the_targets_of_many_steps(networks, backend):
    lead = () if networks is None else (networks,)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (*lead, 6, 2)), rng.integers(0, 2, (*lead, 6))
    said = []
    for targets in (y, y[..., None], y.astype(float), y.tolist()):
        net = OnlineLSTM(2, 1, networks=networks, backend=backend)
        said.append((net.learn_many(x, targets), net.state_dict()))
        assert said[-1][0].shape == (*lead, 6, 1)
        assert torch.equal(said[-1][0], said[0][0])
        assert same_state(said[-1][1], said[0][1])
    one, other = (OnlineLSTM(2, 1, networks=networks, backend=backend) for _ in range(2))
    assert same_state(taught(one, x[..., 0, :], y[..., 0]), taught(other, x[..., 0, :], y[..., :1]))


def test_of_several_outputs_a_whole_number_is_the_unit_to_be_on(backend):
    one, other = (OnlineLSTM(2, 3, backend=backend) for _ in range(2))
    assert same_state(taught(one, [0.5, 0.5], 2), taught(other, [0.5, 0.5], [0.0, 0.0, 1.0]))
    x = np.random.default_rng(0).uniform(-1, 1, (3, 2))
    assert torch.equal(one.learn_many(x, [0, 2, 1]), other.learn_many(x, np.eye(3)[[0, 2, 1]]))


def test_reading_on_in_one_call_teaches_nothing(backend):
    rng = np.random.default_rng(0)
    many, single = (OnlineLSTM(2, 1, blocks=2, dtype=torch.float64, backend=backend) for _ in range(2))
    before, x = many.state_dict(), rng.uniform(-1, 1, (20, 2))
    many.learn_many(x)
    for row in x:
        single.learn_one(row)
    for name, value in single.state_dict().items():
        torch.testing.assert_close(many.state_dict()[name], value, rtol=1e-12, atol=1e-14)
    for name in many.topology.weight_shapes:
        assert torch.equal(many.state_dict()[name], before[name])


@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("networks", [None, 3])
def test_no_steps_are_answered_by_no_answers_and_change_nothing(symbols, outputs, networks, backend):
    net = OnlineLSTM(2, outputs, symbols=symbols, networks=networks, backend=backend)
    lead = () if networks is None else (networks,)
    before = net.state_dict()
    x = np.zeros((*lead, 0), dtype=int) if symbols else np.zeros((*lead, 0, 2))
    for xs, ys in ((x, None), (x, np.zeros((*lead, 0, outputs))), (np.zeros((*lead, 0)), np.zeros((*lead, 0)))):
        answers = net.learn_many(xs, ys)
        assert answers.shape == (*lead, 0, outputs)
        assert answers.dtype == torch.float32
    assert same_state(before, net.state_dict())


@pytest.mark.parametrize(
    "x",
    [
        torch.tensor([0.5, -0.25], requires_grad=True),
        torch.tensor([0.5, -0.25], dtype=torch.bfloat16),
        torch.tensor([0.5, -0.25], dtype=torch.float64),
        np.array([0.5, -0.25], dtype=np.float16),
        (0.5, -0.25),
    ],
    ids=["gradient", "bfloat16", "float64", "float16", "tuple"],
)
def test_any_array_of_numbers_is_an_input_and_a_target(x, backend):
    one, other = (OnlineLSTM(2, 2, backend=backend) for _ in range(2))
    assert same_state(taught(one, x, x), taught(other, [0.5, -0.25], [0.5, -0.25]))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ([[0.1, 0.2], [0.1]], "x is a list of parts that make no array"),
        ([torch.tensor(0.1, requires_grad=True), torch.ones(2)], "x is a list of parts"),
        (np.array([0.1, 1e300]), "x has a NaN or infinite value; expected finite numbers of float32"),
        (np.array([1j, 0]), r"x is complex128 of shape \(2,\); expected numbers of shape \(2,\)"),
        (None, "x is object"),
        ([2**70, 1], "x is object"),
    ],
)
def test_what_is_no_array_of_finite_numbers_is_refused_in_one_sentence(x, said, backend):
    net = OnlineLSTM(2, 1, backend=backend)
    before = net.state_dict()
    with pytest.raises(InputError, match=said) as refused:
        net.predict_one(x)
    assert "\n" not in str(refused.value)
    net.predict_one([0.1, 0.1])
    with pytest.raises(InputError, match="y is a list of parts"):
        net.learn_one([0.1, 0.1], [[1.0], [1.0, 2.0]])
    assert same_state(before, net.state_dict())
