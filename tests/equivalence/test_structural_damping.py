"""Structural damping: the Gauss-Newton matrix of the loss, and of a penalty on the change of the hidden states."""

from __future__ import annotations

import copy
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call, jacrev

from equivalence.compare import EXACT, distance
from equivalence.engines import BUILT
from equivalence.specs import Problem, problems
from equivalence.test_batches_agree import PADDING, padded_otherwise
from equivalence.test_objective import gauss_newton
from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.errors import InputError
from longlag.gradients import NetworkObjective, objective
from longlag.gradients.jacobian import StoredJacobian
from longlag.nn import CrossEntropy, SquaredError
from longlag.nn.curvature import Curvature
from longlag.ops.engine import CallOptions, Recording
from longlag.optim import BoundObjective, HessianFreeMethod, LinearCG, minimise
from property_examples import examples

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

ENGINES = ["native", "reference"] if BUILT else ["reference"]
KINDS = (SquaredError, CrossEntropy)
WEIGHTS = st.sampled_from([0.7, 30.0, 1e-3])


def hidden_outputs(network: Network, named: dict[str, Tensor], batch: SequenceBatch) -> list[Tensor]:
    """y_t of each layer, (T, B, O) with both directions side by side: one layer at a time, each an LSTM of its own."""
    lstm, below, found = network.lstm, batch.inputs, []
    for number in range(lstm.num_layers):
        alone = LSTM(
            below.shape[-1],
            lstm.hidden_size,
            bias=lstm.bias,
            bidirectional=lstm.bidirectional,
            proj_size=lstm.proj_size,
            dtype=torch.float64,
            cell=lstm.cell,
            backend="reference",
            learn_sharpness=lstm.learn_sharpness,
        )
        mine = {name: named["lstm." + name.replace("_l0", f"_l{number}")] for name, _ in alone.named_parameters()}
        below = functional_call(alone, mine, (below,), {"lengths": batch.lengths})[0]
        found.append(below)
    return found


def share(problem: Problem, length: int) -> float:
    """What one real step of a sequence of that length counts, by the loss's reduction."""
    samples = len(problem.batch)
    return {"sum": 1.0, "samples": 1.0 / samples, "mean": 1.0 / (samples * max(length, 1))}[problem.loss.reduction]


def hidden_matrix(problem: Problem) -> Tensor:
    """J_h' D J_h with J_h written out, summed sequence by sequence over the steps that are real."""
    network, batch = copy.deepcopy(problem.network), problem.batch
    named = dict(network.named_parameters())
    sizes = [weight.numel() for weight in named.values()]
    theta = torch.cat([weight.detach().flatten() for weight in named.values()])

    def outputs(at: Tensor) -> Tensor:
        parts = zip(named.items(), at.split(sizes), strict=True)
        weights = {name: part.view(weight.shape) for (name, weight), part in parts}
        return torch.cat(hidden_outputs(network, weights, batch), dim=-1)

    matrix = theta.new_zeros(len(theta), len(theta))
    if not outputs(theta).numel():
        return matrix
    jacobian = jacrev(outputs)(theta)
    for sample, length in enumerate(batch.lengths.tolist()):
        rows = jacobian[:length, sample].flatten(0, 1)
        matrix += share(problem, length) * rows.T @ rows
    return matrix


@pytest.mark.costly
@pytest.mark.parametrize("engine", ENGINES)
@examples(30)
@given(problems(kinds=KINDS, bidirectional=True), WEIGHTS)
def test_the_damped_product_is_that_of_both_dense_matrices(engine: str, problem: Problem, mu: float) -> None:
    matrix = gauss_newton(problem) + mu * hidden_matrix(problem)
    objective_, random = NetworkObjective(problem.network, problem.loss), torch.Generator().manual_seed(0)
    theta = objective_.theta
    v, w = torch.randn(2, len(theta), generator=random, dtype=theta.dtype)
    with patch.object(objective, "kernels_run", lambda *_: engine == "native"):
        damped = objective_.curvature(theta, problem.batch, structural=mu)
        at_v, at_w = damped @ v, damped @ w
    assert distance([at_v, at_w], [matrix @ v, matrix @ w]) <= EXACT
    assert distance([w @ at_v], [v @ at_w]) <= EXACT  # symmetric
    assert float(v @ at_v) >= 0.0


@examples(30)
@given(problems(kinds=KINDS, bidirectional=True), PADDING, st.integers(0, 3))
def test_padding_changes_no_bit_of_a_damped_product(problem: Problem, value: float, steps: int) -> None:
    objective_ = NetworkObjective(problem.network, problem.loss)
    theta = objective_.theta
    one, another = (
        objective_.curvature_product(theta, torch.ones_like(theta), batch, structural=0.7)
        for batch in (problem.batch, padded_otherwise(problem.batch, value, steps))
    )
    assert torch.equal(one, another)


@examples(20)
@given(problems(kinds=KINDS))
def test_frozen_parameters_have_no_part_in_it(problem: Problem) -> None:
    whole = gauss_newton(problem) + 0.7 * hidden_matrix(problem)
    frozen = ("hh", "readout")
    named = list(problem.network.named_parameters())
    free = torch.cat([torch.full((w.numel(),), not any(part in name for part in frozen)) for name, w in named])
    for name, weight in named:
        weight.requires_grad_(not any(part in name for part in frozen))
    objective_ = NetworkObjective(problem.network, problem.loss)
    theta = objective_.theta
    product = objective_.curvature_product(theta, torch.ones_like(theta), problem.batch, structural=0.7)
    assert distance([product], [whole[free][:, free].sum(1)]) <= EXACT


def test_hidden_states_that_no_answer_depends_on_are_damped() -> None:
    problem = ragged()
    with torch.no_grad():
        problem.network.readout.weight.zero_()
    objective_ = NetworkObjective(problem.network, problem.loss)
    theta = objective_.theta
    into_cells = torch.cat([torch.full((w.numel(),), "lstm" in n) for n, w in problem.network.named_parameters()])
    v = torch.where(into_cells, 1.0, 0.0).double()
    assert not objective_.curvature_product(theta, v, problem.batch).any()
    product = objective_.curvature_product(theta, v, problem.batch, structural=1.0)
    assert float(v @ product) > 1e-4


def ragged() -> Problem:
    network = Network(LSTM(2, 3, cell=CellSpec(peepholes=True), dtype=torch.float64), 1)
    inputs = [torch.randn(steps, 2, dtype=torch.float64) for steps in (4, 7, 5, 1)]
    targets = torch.stack([sequence[0, :1] - sequence[-1, 1:] for sequence in inputs])
    return Problem(network, SquaredError(), SequenceBatch.last_step(inputs, targets))


def test_damping_takes_products_where_the_loss_alone_has_a_stored_jacobian() -> None:
    problem = ragged()
    objective_ = NetworkObjective(problem.network, problem.loss)
    theta = objective_.theta
    plain, damped = (objective_.curvature(theta, problem.batch, structural=mu) for mu in (0.0, 0.5))
    assert isinstance(plain, StoredJacobian) == bool(BUILT)
    assert not damped.is_stored
    assert damped.diagonal() is None
    matrix = damped.dense()
    assert distance([matrix], [plain.dense() + 0.5 * hidden_matrix(problem)]) <= EXACT
    assert float(torch.linalg.eigvalsh(matrix)[0]) >= -1e-12


@pytest.mark.parametrize("structural", [-0.1, float("nan"), float("inf")])
def test_a_weight_that_is_no_weight_is_refused(structural: float) -> None:
    problem = ragged()
    objective_ = NetworkObjective(problem.network, problem.loss)
    theta = objective_.theta
    with pytest.raises(InputError, match=r"structural is .*; expected a finite number of at least 0"):
        objective_.curvature(theta, problem.batch, structural=structural)
    with pytest.raises(InputError, match=r"structural is .*; expected a finite number of at least 0"):
        objective_.curvature_product(theta, theta, problem.batch, structural=structural)


def test_outputs_are_recorded_for_one_call_only_and_lower_layers_come_first() -> None:
    lstm = LSTM(2, 3, 2, bidirectional=True)
    inputs = torch.randn(5, 4, 2)
    lengths = [2, 4, 0, 3]
    recording = Recording()
    outputs = lstm(inputs, lengths=lengths, options=CallOptions(recording=recording))[0]
    lstm(inputs)
    assert len(recording.layers) == 4
    assert torch.equal(torch.cat(recording.layers[2:], dim=-1), outputs[:4])
    assert all(part.shape == (4, 4, 3) for part in recording.layers)


def test_the_old_way_to_note_outputs_still_does_and_names_the_new_one() -> None:
    lstm = LSTM(2, 3, 2, bidirectional=True)
    inputs, recording = torch.randn(5, 4, 2), Recording()
    lstm(inputs, options=CallOptions(recording=recording))
    with pytest.warns(DeprecationWarning, match="options=CallOptions"), lstm.noting_outputs() as noted:
        lstm(inputs)
    lstm(inputs)
    assert all(torch.equal(one, other) for one, other in zip(noted, recording.layers, strict=True))


# ---------------------------------------------------------------- in Hessian-free


def wanted_by_one_step(structural: float) -> float:
    """p' S p of the first step CG asks for: how far the hidden states would go."""
    torch.manual_seed(1)
    problem = ragged()
    objective_ = NetworkObjective(problem.network, problem.loss)
    function, hidden = BoundObjective(objective_, problem.batch), hidden_matrix(problem)
    solver = LinearCG(tolerance=0.0, residual=1e-10)
    method = HessianFreeMethod(damping=1e-2, structural=structural, preconditioner="none", solver=solver)
    state = method.start(function, objective_.theta)
    before = state.value
    assert method.step(function, state).moved
    assert state.value < before
    p = state.warm
    return float(p @ hidden @ p)


def test_the_more_it_is_damped_the_less_a_step_changes_the_hidden_states() -> None:
    free, some, most = (wanted_by_one_step(structural) for structural in (0.0, 10.0, 1000.0))
    assert most < 0.5 * some
    assert some < 0.9 * free


@pytest.mark.costly
def test_hessian_free_trains_a_network_with_it() -> None:
    inputs = [torch.randn(steps, 2, dtype=torch.float64) for steps in (4, 6, 5)]
    batch = SequenceBatch.every_step(inputs, [sequence.cumsum(0)[:, :1] for sequence in inputs])
    objective_ = NetworkObjective(Network(LSTM(2, 2, dtype=torch.float64), 1), SquaredError())
    theta, asked = objective_.theta, []
    method = HessianFreeMethod(damping=0.1, structural=0.3)

    def noting(*arguments: object, structural: float = 0.0) -> Curvature:
        asked.append(structural)
        return NetworkObjective.curvature(objective_, *arguments, structural=structural)

    with patch.object(objective_, "curvature", noting):
        result = minimise(method, BoundObjective(objective_, batch), theta, max_iterations=15)
    assert result.value < 0.2 * objective_.value(theta, batch)
    assert asked[0] == pytest.approx(0.3 * 0.1)
    assert sum(weight > 0.0 for weight in asked) == len(result.history)  # damped to step, undamped to judge the step
