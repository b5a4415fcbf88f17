"""Batch methods in the training loop, against the drivers of longlag.optim on the same objective, bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import longlag.gradients.objective
from equivalence.engines import needs_kernels
from longlag import CellSpec, Network, SequenceBatch
from longlag.errors import CheckpointError
from longlag.gradients import NetworkObjective
from longlag.nn import CrossEntropy, GaussianNLL, Loss, SquaredError
from longlag.optim import BoundObjective, Function, LBFGSMethod, Result, SeparateCurvature, minimise, minimise_batches
from longlag.optim.counting import CountingFunction, EvaluationCounter
from longlag.training import Schedule, train
from longlag.training.batches import plan
from longlag.training.second_order import SecondOrderStep
from training.small import LENGTHS, METHODS, config, flat, inputs, made, samples

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def classes(dtype: torch.dtype) -> SequenceBatch:
    return SequenceBatch.last_step(inputs(1, dtype), torch.tensor([0, 2, 1, 1, 0]))


def answers_everywhere(dtype: torch.dtype) -> SequenceBatch:
    return SequenceBatch.every_step(inputs(1, dtype), [values[:, :1].cumsum(0) for values in inputs(2, dtype)])


def by_itself(name: str, network: Network, loss: Loss, data: SequenceBatch, iterations: int) -> Result:
    objective = NetworkObjective(copy.deepcopy(network), loss)
    return minimise(METHODS[name], BoundObjective(objective, data), objective.theta, max_iterations=iterations)


# -- the same bits as the drivers of longlag.optim ---------------------------------------------------------------------


TASKS: dict[str, tuple[Callable[[torch.dtype], SequenceBatch], Loss, int]] = {
    "squared error": (lambda dtype: samples(dtype=dtype), SquaredError(), 1),
    "cross entropy": (classes, CrossEntropy(), 3),
    "an answer at every step": (answers_everywhere, SquaredError(), 1),
}


@pytest.mark.costly
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("name", "task"),
    # there the matrix would take a product for each weight, which is seconds
    [(n, t) for n in METHODS for t in TASKS if (n, t) != ("levenberg_marquardt", "an answer at every step")],
)
def test_on_all_the_data_training_is_plain_minimisation(name: str, task: str, dtype: torch.dtype) -> None:
    make, loss, outputs = TASKS[task]
    data, network = make(dtype), made(outputs, dtype)
    expected = by_itself(name, network, loss, data, 5)
    start, before = NetworkObjective(copy.deepcopy(network), loss), flat(network)
    value, gradient = start.value_and_gradient(start.theta, data)
    result = train(network, loss, data, config(name))
    assert torch.equal(flat(network), expected.theta)
    assert not torch.equal(flat(network), before)
    # an epoch's loss and gradient norm are those before its update, as for the others
    values = [value, *(record.value for record in expected.history)][:5]
    assert [entry["loss"] for entry in result.history] == values
    assert result.history[0]["gradient_norm"] == pytest.approx(float(torch.linalg.vector_norm(gradient)), rel=1e-6)
    assert (result.reason, result.epochs) == ({"budget": "max_epochs"}.get(expected.status, expected.status), 5)
    assert {entry["learning_rate"] for entry in result.history} == {None}


@pytest.mark.costly
@pytest.mark.parametrize("name", METHODS)
def test_an_epoch_has_as_many_iterations_as_asked_for(name: str) -> None:
    network = made()
    expected = by_itself(name, network, SquaredError("sum"), samples(), 6)
    result = train(network, SquaredError("sum"), samples(), config(name, max_epochs=2, inner_iterations=3))
    assert torch.equal(flat(network), expected.theta)
    assert result.epochs == 2


@pytest.mark.costly
@pytest.mark.parametrize(
    ("name", "inner"), [("lbfgs", 20), ("cg", 20), ("hessian_free", 1), ("levenberg_marquardt", 1)]
)
def test_on_mini_batches_training_is_minimisation_batch_by_batch(name: str, inner: int) -> None:
    network = made()
    data = samples() if inner == 1 else answers_everywhere(torch.float64)  # that 20 iterations do not solve
    objective = NetworkObjective(copy.deepcopy(network), SquaredError())
    batches = [
        data.select(chosen) for epoch in range(2) for chosen in plan(data.lengths, 2, bucket=True, seed=7, epoch=epoch)
    ]
    expected = minimise_batches(METHODS[name], objective, objective.theta, batches, inner_iterations=inner)
    train(network, SquaredError(), data, config(name, max_epochs=2, batch_size=2, seed=7))
    assert torch.equal(flat(network), expected.theta)
    other = made()
    train(other, SquaredError(), data, config(name, max_epochs=2, batch_size=2, seed=7, inner_iterations=inner + 1))
    assert not torch.equal(flat(network), flat(other))


def test_the_loss_of_an_epoch_of_mini_batches_is_that_before_each_batchs_update() -> None:
    network, data = made(), samples()
    objective = NetworkObjective(copy.deepcopy(network), SquaredError())
    theta, loss, norms = objective.theta, 0.0, []
    for chosen in plan(data.lengths, 2, bucket=True, seed=0, epoch=0):
        batch = data.select(chosen)
        value, gradient = objective.value_and_gradient(theta, batch)
        loss += value * len(batch) / len(data)
        norms.append(float(torch.linalg.vector_norm(gradient)))
        theta = minimise(LBFGSMethod(), BoundObjective(objective, batch), theta, max_iterations=20).theta
    result = train(network, SquaredError(), data, config("lbfgs", max_epochs=1, batch_size=2))
    assert result.history[0]["loss"] == pytest.approx(loss, rel=1e-12)
    assert result.history[0]["gradient_norm"] == pytest.approx(max(norms), rel=1e-12)


@pytest.mark.costly
@pytest.mark.parametrize("name", ["hessian_free", "levenberg_marquardt"])
def test_a_gaussian_likelihood_is_minimised_under_its_fisher_information(name: str) -> None:
    """Its own second derivative may be that of a saddle, and a matrix made of it is then not positive definite."""
    network, data, loss = made(2), samples(), GaussianNLL()
    objective = NetworkObjective(copy.deepcopy(network), loss)
    fisher = NetworkObjective(objective.network, loss.for_curvature())
    function: Function = SeparateCurvature(BoundObjective(objective, data), BoundObjective(fisher, data))
    expected = minimise(METHODS[name], function, objective.theta, max_iterations=5)
    train(network, loss, data, config(name))
    assert torch.equal(flat(network), expected.theta)
    assert all(not record.note for record in expected.history)
    by_own = minimise(
        METHODS[name], BoundObjective(objective, data), NetworkObjective(made(2), loss).theta, max_iterations=5
    )
    assert not torch.equal(by_own.theta, expected.theta)


@needs_kernels
@pytest.mark.parametrize("name", ["hessian_free", "levenberg_marquardt"])
def test_all_the_data_takes_no_more_jacobians_than_plain_minimisation(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the gradient an epoch ended with is the matrix the next one begins with."""
    made_so_far: list[object] = []
    make = longlag.gradients.objective.stored_jacobian

    def counting(*arguments: Any) -> Any:
        made_so_far.append(arguments)
        return make(*arguments)

    monkeypatch.setattr(longlag.gradients.objective, "stored_jacobian", counting)
    by_itself(name, made(), SquaredError(), samples(), 5)
    plain = len(made_so_far)
    train(made(), SquaredError(), samples(), config(name))
    assert len(made_so_far) == 2 * plain > 5


@pytest.mark.costly
def test_exact_forward_mode_gives_the_same_minimum() -> None:
    one, other = made(), made()
    train(one, SquaredError(), samples(), config("lbfgs"))
    train(other, SquaredError(), samples(), config("lbfgs", gradient="rtrl"))
    assert float((flat(one) - flat(other)).abs().max()) <= 1e-9


@pytest.mark.parametrize("name", METHODS)
def test_a_caller_without_gradients_trains_by_a_method_the_same(name: str) -> None:
    networks = [made(), made()]
    train(networks[0], SquaredError(), samples(), config(name, max_epochs=2))
    with torch.no_grad():
        train(networks[1], SquaredError(), samples(), config(name, max_epochs=2))
    assert torch.equal(flat(networks[0]), flat(networks[1]))


def test_frozen_parameters_stay_and_are_no_part_of_the_method() -> None:
    network = made()
    network.lstm.weight_hh_l0.requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    train(network, SquaredError(), samples(), config("lbfgs", max_epochs=2))
    same = [key for key, value in network.state_dict().items() if torch.equal(value, before[key])]
    assert same == ["lstm.weight_hh_l0"]


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_that_asks_nothing_is_passed_over(name: str) -> None:
    data = samples()
    data.target_mask[:, 1] = data.target_mask[:, 3] = False
    network, objective = made(), NetworkObjective(made(), SquaredError())
    order = [chosen for chosen in plan(data.lengths, 1, bucket=True, seed=0, epoch=0) if int(chosen) not in (1, 3)]
    batches = [data.select(chosen) for chosen in order]
    expected = minimise_batches(METHODS[name], objective, objective.theta, batches, inner_iterations=2)
    train(network, SquaredError(), data, config(name, max_epochs=1, batch_size=1, inner_iterations=2))
    assert torch.equal(flat(network), expected.theta)


# -- the gates' sharpness ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_a_method_begins_anew_whenever_the_sharpness_changes(name: str) -> None:
    schedule = Schedule(1.0, 2.0, "steps", 1)  # 1, 1, 2, 2
    network, data = made(cell=CellSpec(peepholes=True)), samples()
    by_hand = copy.deepcopy(network)
    train(network, SquaredError(), data, config(name, max_epochs=4, sharpness=schedule))
    objective, method = NetworkObjective(by_hand, SquaredError()), METHODS[name]
    function = CountingFunction(BoundObjective(objective, data), EvaluationCounter(), linearise=method.takes_curvature)
    state = method.start(function, objective.theta)
    for _ in range(2):
        method.step(function, state)
    by_hand.lstm.cell = CellSpec(peepholes=True, sharpness=2.0)
    state = method.restart(function, state)
    for _ in range(2):
        method.step(function, state)
    assert torch.equal(flat(network), state.theta)


# -- memory as tensors -------------------------------------------------------------------------------------------------


def remembering(name: str, size: int = len(LENGTHS)) -> SecondOrderStep:
    data, network = samples(), made()
    method = SecondOrderStep(config(name).resolved(len(data)), network, SquaredError(), data)
    for _ in range(3):
        list(method.on(data.select(torch.arange(size)), ""))
    return method


@pytest.mark.parametrize("size", [2, len(LENGTHS)])
@pytest.mark.parametrize("name", METHODS)
def test_the_memory_of_a_method_is_tensors_and_comes_back_to_the_bit(name: str, size: int) -> None:
    method = remembering(name, size)
    packed = method.pack()
    assert all(isinstance(value, Tensor) for value in packed.values())
    data, network = samples(), copy.deepcopy(method.network)
    again = SecondOrderStep(config(name).resolved(len(data)), network, SquaredError(), data)
    assert again.pack() == {}
    again.unpack({})
    assert again.state is None
    again.unpack(packed)
    before, after = vars(method.state), vars(again.state)
    assert before.keys() == after.keys()
    for field, value in before.items():
        assert type(after[field]) is type(value)
        if isinstance(value, Tensor):
            assert torch.equal(after[field], value)
        elif isinstance(value, list):
            assert len(value) == len(after[field])
            assert all(torch.equal(one, other) for one, other in zip(value, after[field], strict=True))
        else:
            assert after[field] == value
    assert name != "lbfgs" or len(before["steps"]) == (1 if size == 2 else 3)
    assert (before["gradient"] is None) == (size == 2 and name in ("hessian_free", "levenberg_marquardt"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sharpness": None}, "the optimiser's state has no sharpness; expected one"),
        ({"theta": None}, "the optimiser's state has no 'theta'; expected that of a LBFGSState"),
        ({"steps.0": None}, "the optimiser's state has an entry 'steps.1'; expected those of a LBFGSState alone"),
        ({"exp_avg": torch.ones(1)}, "the optimiser's state has an entry 'exp_avg'; expected those of a LBFGSState a"),
    ],
)
def test_memory_of_another_kind_is_refused(change: dict[str, Tensor | None], message: str) -> None:
    method = remembering("lbfgs")
    packed = {name: value for name, value in (method.pack() | change).items() if value is not None}
    with pytest.raises(CheckpointError, match=f"^{message}"):
        method.unpack(packed)
