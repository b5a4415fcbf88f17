"""The batch paper's experiments: what a trial is, what it costs, and how trials are stored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from longlag.errors import CheckpointError
from longlag.optim import HessianFreeMethod
from longlag.tasks import DelayedXor, Multiplication
from longlag_lab.batch2013.cases import HESSIAN_FREE, LBFGS, LEVENBERG_MARQUARDT, LINEAR, NAMES, Case, cases
from longlag_lab.batch2013.experiment import EXPERIMENT
from longlag_lab.batch2013.jobs import Job
from longlag_lab.batch2013.outcome import Outcome
from longlag_lab.batch2013.problem import Problem
from longlag_lab.batch2013.recipes import Cost, FirstOrder, Recipe, SecondOrder
from longlag_lab.batch2013.report import record, table
from longlag_lab.batch2013.trial import WORST, run_trial
from longlag_lab.harness.experiment import Progress

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

SMALL = replace(LINEAR, task=Multiplication(T=11), training=200, validation=50, test=50, below=0.2)
ON_SMALL = replace(HESSIAN_FREE, batch=100, evaluations=40)


def case(recipe: Recipe = ON_SMALL, problem: Problem = SMALL, **changes: object) -> Case:
    return Case(figure="fig3c", name="one", title="", problem=problem, recipe=recipe, **changes)  # type: ignore[arg-type]


def run(one: Case, folder: Path, *, trials: int = 1, resume: bool = True, processes: int = 1) -> Progress[Job, Outcome]:
    return EXPERIMENT.run([Job(one, trials, 0)], EXPERIMENT.store(folder, resume=resume), processes=processes)[0]


def test_the_network_has_the_papers_connections() -> None:
    network = LINEAR.network(0)
    # 2 blocks of 2 cells: 8 units read 2 inputs, 4 cells, 4 gates and a bias; 8 peepholes; 4 weights and a bias above
    assert network.weight_count() == 8 * (2 + 4 + 4 + 1) + 8 + 5 == 101
    bias = dict(network.lstm.named_parameters())["bias_ih_l0"]
    assert bias[:2].tolist() == [-2.0, -2.0]
    assert float(bias[2:].detach().abs().max()) <= 0.1


def test_a_trial_has_the_same_sequences_and_first_weights_whatever_the_recipe() -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    class Peek:
        def train(self, objective, training, seed, look):  # type: ignore[no-untyped-def]
            seen.append((objective.theta, training.inputs))
            return "seen"

    for dtype in (torch.float64, torch.float64, torch.float32):
        run_trial(replace(SMALL, dtype=dtype), Peek(), 3, 0)  # type: ignore[arg-type]
    assert torch.equal(seen[0][0], seen[1][0])
    assert torch.equal(seen[0][1], seen[1][1])
    assert torch.equal(seen[0][0].float(), seen[2][0])
    assert seen[2][1].dtype == torch.float32


def test_passes_are_gradient_equivalents_times_the_share_of_the_set() -> None:
    objective, costs = SMALL.objective(0), list[Cost]()
    data = SMALL.draw(np.random.SeedSequence(0))
    recipe = SecondOrder(method=HessianFreeMethod(preconditioner="none"), batch=50, evaluations=12)

    def look(theta: Tensor, cost: Cost) -> bool:
        costs.append(cost)
        return False

    recipe.train(objective, data.training, 0, look)
    assert costs[-1].evaluations <= 12
    assert costs[-1].passes == pytest.approx(costs[-1].gradients * 50 / 200)


def test_growing_batches_pay_for_their_size() -> None:
    objective, costs = SMALL.objective(0), list[Cost]()
    data = SMALL.draw(np.random.SeedSequence(0))

    def look(theta: Tensor, cost: Cost) -> bool:
        costs.append(cost)
        return len(costs) == 3

    replace(ON_SMALL, batch=50, growth=2.0).train(objective, data.training, 0, look)
    before = [Cost(), *costs[:2]]
    shares = [
        (now.passes - then.passes) / (now.gradients - then.gradients) for then, now in zip(before, costs, strict=True)
    ]
    assert shares == pytest.approx([0.25, 0.5, 1.0])


@pytest.mark.parametrize("kind", ["momentum", "adam"])
def test_first_order_methods_are_torchs(kind: str) -> None:
    data = SMALL.draw(np.random.SeedSequence(0))
    thetas: list[Tensor] = []

    def look(theta: Tensor, cost: Cost) -> bool:
        thetas.append(theta)
        return False

    objective = SMALL.objective(0)
    start = objective.theta
    FirstOrder(kind=kind, batch=200, passes=3, every=200).train(objective, data.training, 0, look)  # type: ignore[arg-type]
    theta = start.clone().requires_grad_()
    make = torch.optim.Adam([theta], lr=0.1) if kind == "adam" else torch.optim.SGD([theta], lr=0.1, momentum=0.9)
    for found in thetas:
        theta.grad = objective.value_and_gradient(theta.detach(), data.training)[1]
        make.step()
        torch.testing.assert_close(found, theta.detach(), rtol=0, atol=1e-12)
    assert len(thetas) == 3


def test_the_wrong_are_those_off_by_the_tolerance_or_more() -> None:
    problem = replace(SMALL, task=DelayedXor(T=11), judged="wrong")
    objective = problem.objective(0)
    samples = problem.draw(np.random.SeedSequence(0)).test
    objective.network.readout.weight.data.zero_()
    for answer in (0.81, 0.5, 0.19):  # right where the target is 1, nowhere, where it is 0
        objective.network.readout.bias.data.fill_(answer)
        ones = float(samples.targets[samples.target_mask].mean())
        expected = {0.81: 1 - ones, 0.5: 1.0, 0.19: ones}[answer]
        assert problem.error(objective, objective.theta, samples) == pytest.approx(expected)


def test_a_trial_goes_on_until_both_sets_are_satisfied() -> None:
    trial = run_trial(SMALL, ON_SMALL, 0, 0)
    assert trial.solved is not None
    assert trial.solved_on_validation is not None
    assert trial.solved.test < 0.2
    assert trial.solved_on_validation.validation < 0.2
    assert trial.last in (trial.solved, trial.solved_on_validation)
    assert trial.best == min(error for _, _, error in trial.curve) <= trial.solved.test


def test_a_trial_survives_being_written_and_read() -> None:
    for below in (0.2, 0.0):
        trial = run_trial(replace(SMALL, below=below), replace(ON_SMALL, evaluations=5), 0, 0)
        assert Outcome.from_plain(json.loads(json.dumps(trial.plain()))) == trial


def test_trials_that_have_ended_are_not_run_again(tmp_path: Path) -> None:
    first = run(case(), tmp_path, trials=2, resume=False)
    again = run(case(), tmp_path, trials=3)
    assert {n: again.outcomes[n] for n in (0, 1)} == first.outcomes  # to the second they took
    assert set(again.outcomes) == {0, 1, 2}


@pytest.mark.processes
@pytest.mark.usefixtures("forked_workers")
def test_processes_find_what_one_alone_finds(tmp_path: Path) -> None:
    found = [run(case(), tmp_path / str(count), trials=2, processes=count).outcomes for count in (1, 2)]
    for n in (0, 1):
        assert found[0][n].best == found[1][n].best
        assert found[0][n].reason == found[1][n].reason


def test_other_settings_have_other_files(tmp_path: Path) -> None:
    store = EXPERIMENT.store(tmp_path, resume=True)
    paths = {
        store.path(Job(one, 1, seed))
        for one in (case(), case(LBFGS), case(problem=replace(SMALL, sharpness=3.0)), case(LEVENBERG_MARQUARDT))
        for seed in (0, 1)
    }
    assert len(paths) == 8


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    EXPERIMENT.store(tmp_path, resume=True).path(Job(case(), 1, 0)).write_text('{"trial": 0}\n')
    with pytest.raises(CheckpointError, match="line 1 is not a trial"):
        run(case(), tmp_path)


@pytest.mark.costly
def test_a_row_of_more_trials_stays(tmp_path: Path) -> None:
    for trials, stays in ((2, 0), (1, 1), (2, 0)):
        state = run(case(), tmp_path / "trials", trials=trials)
        assert len(table("fig3c").write(tmp_path, [record(state)])[1]) == stays
        assert json.loads((tmp_path / "fig3c.json").read_text())["rows"][0]["trials"] == 2


def test_every_row_has_a_name_of_its_own_without_a_comma() -> None:
    for figure in NAMES:
        names = [one.name for one in cases(figure)]
        assert len(set(names)) == len(names)
        assert not any("," in name for name in names)


@pytest.mark.costly
def test_another_start_goes_on_where_the_first_has_ended() -> None:
    once = run_trial(replace(SMALL, below=0.0), replace(ON_SMALL, evaluations=10), 0, 0)
    thrice = run_trial(replace(SMALL, below=0.0, starts=3), replace(ON_SMALL, evaluations=10), 0, 0)
    costs = [passes for passes, _, _ in thrice.curve]
    assert costs == sorted(costs)
    assert thrice.curve[: len(once.curve)] == [(a, pytest.approx(b, abs=9), c) for a, b, c in once.curve]
    starts = [
        error
        for (passes, _, _), (after, _, error) in zip(thrice.curve, thrice.curve[1:], strict=False)
        if passes == after
    ]
    assert starts[0] != once.curve[0][2]  # other weights
    assert len(starts) == 2  # the same cost before and after: nothing is paid for new weights
    assert thrice.last.evaluations == 3 * once.last.evaluations
    assert run_trial(replace(SMALL, starts=3), ON_SMALL, 0, 0).last.evaluations <= 40


def test_a_trial_that_diverges_is_kept_as_one_that_failed(tmp_path: Path) -> None:
    wild = FirstOrder(learning_rate=1e308, momentum=0.0, batch=50, passes=2, every=50)
    state = run(case(wild, replace(SMALL, below=0.0)), tmp_path)
    assert state.outcomes[0].solved is None
    again = run(case(wild, replace(SMALL, below=0.0)), tmp_path)
    assert again.outcomes == state.outcomes
    assert record(state)["solved"] == 0
    assert state.outcomes[0].last.test == WORST


def test_a_damaged_table_is_named_before_anything_runs(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"rows": [{"row": 1}]}'):
        (tmp_path / "fig3c.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"fig3c\.json.*expected a table of ours; move it away"):
            table("fig3c").read(tmp_path)
