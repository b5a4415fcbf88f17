"""A learned sharpness is a parameter like any other: every engine's gradient of it, curvature, and Adam on it.

tests/equivalence draws it too, in every network; here are the cells of the papers, and sizes by hand.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from equivalence.compare import EXACT, distance
from equivalence.engines import BUILT
from equivalence.specs import Problem
from equivalence.test_objective import gauss_newton
from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.gradients import (
    RTRL,
    Backpropagation,
    GradientEngine,
    NetworkObjective,
    TruncatedBPTT,
    check_gradient,
    objective,
)
from longlag.gradients.jacobian import StoredJacobian
from longlag.nn import CrossEntropy, SquaredError
from longlag.ops.paths import FULL, TRUNCATED
from longlag.optim import BoundObjective, HessianFreeMethod, LBFGSMethod, minimise
from longlag.training import TrainingConfig, train

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

CELLS = {
    "plain": CellSpec(),
    "1997": CellSpec.hochreiter1997(cells_per_block=2),
    "2013": CellSpec.batch2013(forget_gate=True, sharpness=1.5),
    "coupled": CellSpec(coupled_gates=True, peepholes=True),
}
BACKENDS = [*BUILT, "bptt", "reference"]


def problem(cell: CellSpec, backend: str = "auto", *, classes: bool = False, **options: object) -> Problem:
    torch.manual_seed(0)
    lstm = LSTM(2, 4, dtype=torch.float64, cell=cell, backend=backend, learn_sharpness=True, **options)
    network = Network(lstm, 3)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0.0, 0.5)
    inputs = [torch.randn(steps, 2, dtype=torch.float64) for steps in (6, 1, 4)]
    targets = torch.tensor([2, 0, 1]) if classes else torch.randn(3, 3, dtype=torch.float64)
    return Problem(network, CrossEntropy() if classes else SquaredError(), SequenceBatch.last_step(inputs, targets))


def of_sharpness(network: Network, gradient: tuple[Tensor, ...]) -> Tensor:
    named = zip(network.named_parameters(), gradient, strict=True)
    return torch.cat([part for (name, _), part in named if "sharpness" in name])


@pytest.mark.costly
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_the_gradient_is_that_of_finite_differences(cell: CellSpec, backend: str) -> None:
    given = problem(cell, backend, num_layers=2, bidirectional=True)
    for name, weight in given.network.named_parameters():
        weight.requires_grad_("sharpness" in name)
    batch = everywhere(given.batch)
    assert check_gradient(given.network, given.loss, batch).error < 1e-8
    found = Backpropagation().value_and_gradient(given.network, given.loss, batch)[1]
    assert float(torch.cat(found).abs().min()) > 1e-6  # every slope matters, so all were compared


def everywhere(batch: SequenceBatch) -> SequenceBatch:
    """With an answer at every step, which the reverse direction needs for a history."""
    return SequenceBatch(batch.inputs, batch.lengths, torch.randn_like(batch.targets), batch.step_mask)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("engine", [RTRL(), TruncatedBPTT(2, 6)], ids=["rtrl", "tbptt"])
def test_engines_that_follow_every_path_agree(engine: GradientEngine, cell: CellSpec) -> None:
    given = problem(cell, num_layers=2)
    expected = Backpropagation(FULL).value_and_gradient(given.network, given.loss, given.batch)
    found = engine.value_and_gradient(given.network, given.loss, given.batch)
    assert distance(found[1], expected[1]) <= EXACT


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_the_truncated_rule_is_one_on_every_engine_and_not_the_full_one(cell: CellSpec) -> None:
    given = problem(cell, "reference")
    cut, full = (Backpropagation(way).value_and_gradient(given.network, given.loss, given.batch)[1] for way in PATHS)
    forward = RTRL(TRUNCATED).value_and_gradient(given.network, given.loss, given.batch)[1]
    assert distance(forward, cut) <= EXACT
    for backend in BACKENDS[:-1]:
        given.network.lstm.backend = backend
        found = Backpropagation(TRUNCATED).value_and_gradient(given.network, given.loss, given.batch)[1]
        assert distance(found, cut) <= EXACT
    assert distance([of_sharpness(given.network, cut)], [of_sharpness(given.network, full)]) > 1e-5


PATHS = (TRUNCATED, FULL)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_it_is_learned_from_its_weights_gradients(cell: CellSpec) -> None:
    """dE/da_k = sum of w dE/dw over the gate's weights, since exp(a_k) w is all an engine sees of both."""
    given = problem(cell)
    gradient = Backpropagation().value_and_gradient(given.network, given.loss, given.batch)[1]
    lstm, by_name = given.network.lstm, {}
    for (name, weight), part in zip(given.network.named_parameters(), gradient, strict=True):
        by_name[name] = weight.detach() * part if "sharpness" not in name else part
    rows = lstm.cell.rows(lstm.hidden_size)
    for number, gate in enumerate(lstm.cell.gates):
        names = [
            f"lstm.{name}_l0" for name in lstm.layer_shapes(0) if name.startswith(("weight_ih", "weight_hh", "bias"))
        ]
        total = sum(by_name[name][rows[gate]].sum() for name in names)
        if lstm.cell.peepholes:
            total = total + by_name["lstm.weight_peephole_l0"][number].sum()
        assert distance([total], [by_name["lstm.log_sharpness_l0"][number]]) <= EXACT


@pytest.mark.parametrize("classes", [False, True], ids=["squared", "cross entropy"])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_curvature_by_products_and_from_a_stored_jacobian_is_the_dense_matrix(
    cell: CellSpec, classes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = problem(cell, classes=classes)
    function, matrix = NetworkObjective(given.network, given.loss), gauss_newton(given)
    theta = function.theta
    v = torch.randn_like(theta)
    stored = function.curvature(theta, given.batch)
    assert isinstance(stored, StoredJacobian) == bool(BUILT)
    assert distance([stored.dense()], [matrix]) <= EXACT
    assert distance([function.curvature_product(theta, v, given.batch)], [matrix @ v]) <= EXACT
    monkeypatch.setattr(objective, "kernels_run", lambda *_: False)
    assert distance([function.curvature_product(theta, v, given.batch)], [matrix @ v]) <= EXACT


# ---------------------------------------------------------------- learning it


def remembering() -> SequenceBatch:
    """The last answer is the first input's sign: sharp gates pay."""
    inputs = [torch.randn(6, 2, dtype=torch.float64) for _ in range(30)]
    return SequenceBatch.last_step(inputs, torch.stack([sequence[0, :1].sign() for sequence in inputs]))


def slopes(network: Network) -> Tensor:
    return torch.tensor([list(layer.values()) for layer in network.lstm.gate_sharpness()])


def test_adam_moves_every_slope_and_the_error_falls() -> None:
    network = Network(LSTM(2, 4, 2, dtype=torch.float64, cell=CellSpec(sharpness=1.5), learn_sharpness=True), 1)
    batch, before = remembering(), slopes(network)
    result = train(network, SquaredError(), batch, TrainingConfig(optimizer="adam", learning_rate=0.03, max_epochs=60))
    after = slopes(network)
    assert bool(((after - before).abs() > 1e-3).all())
    assert bool((after > 0.0).all())
    errors = [epoch["loss"] for epoch in result.history]
    assert errors[-1] < 0.7 * errors[0]


@pytest.mark.costly
@pytest.mark.parametrize("method", [LBFGSMethod(), HessianFreeMethod(damping=0.1, structural=0.3)])
def test_it_is_part_of_the_flat_vector_that_other_optimisers_move(method: LBFGSMethod | HessianFreeMethod) -> None:
    network = Network(LSTM(2, 3, dtype=torch.float64, learn_sharpness=True), 1)
    function, batch, before = NetworkObjective(network, SquaredError()), remembering(), slopes(network)
    theta = function.theta
    assert len(theta) == network.weight_count()
    result = minimise(method, BoundObjective(function, batch), theta, max_iterations=5)  # type: ignore[misc]
    function.assign(result.theta)
    assert result.value < 0.9 * function.value(theta, batch)
    function.assign(result.theta)
    assert bool((slopes(network) != before).all())
