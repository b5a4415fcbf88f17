"""Options of an optimiser reach it in training, are recorded, and belong to the run that is resumed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from longlag.errors import InputError
from longlag.gradients import Backpropagation, NetworkObjective
from longlag.gradients.engine import trainable
from longlag.nn import SquaredError
from longlag.optim import (
    BoundObjective,
    CGMethod,
    HessianFreeMethod,
    LBFGSMethod,
    LevenbergMarquardtMethod,
    LinearCG,
    StrongWolfe,
    minimise,
)
from longlag.training import BatchEnd, Callback, Run, TrainingConfig, TrainingInfo, train
from training.small import flat, made, samples

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

METHODS: list[tuple[str, dict[str, Any], Any]] = [
    ("lbfgs", {"history_size": 1}, LBFGSMethod(history_size=1)),
    ("lbfgs", {"damped": True, "curvature_test": 0.5}, LBFGSMethod(damped=True, curvature_test=0.5)),
    ("lbfgs", {"line_search.curvature": 0.1}, LBFGSMethod(line_search=StrongWolfe(curvature=0.1))),
    ("lbfgs", {"learning_rate": 0.5}, LBFGSMethod(learning_rate=0.5)),
    ("cg", {"update": "fletcher-reeves"}, CGMethod(update="fletcher-reeves")),
    ("cg", {"orthogonality": None, "learning_rate": 0.1}, CGMethod(orthogonality=None, learning_rate=0.1)),
    ("cg", {"line_search": {"max_trials": 2}}, CGMethod(line_search=StrongWolfe(curvature=0.2, max_trials=2))),
    ("hessian_free", {"damping": 1.0}, HessianFreeMethod(damping=1.0)),
    ("hessian_free", {"structural": 0.5}, HessianFreeMethod(structural=0.5)),
    ("hessian_free", {"preconditioner": "lbfgs"}, HessianFreeMethod(preconditioner="lbfgs")),
    ("hessian_free", {"solver.max_iterations": 3}, HessianFreeMethod(solver=LinearCG(max_iterations=3))),
    ("hessian_free", {"curvature": "numerical"}, HessianFreeMethod(curvature="numerical")),
    ("levenberg_marquardt", {"damping": 10.0}, LevenbergMarquardtMethod(damping=10.0)),
    ("levenberg_marquardt", {"scaling": "diagonal"}, LevenbergMarquardtMethod(scaling="diagonal")),
]


@pytest.mark.costly
@pytest.mark.parametrize(("name", "options", "method"), METHODS, ids=str)
def test_training_with_an_option_is_the_method_with_it_bit_for_bit(
    name: str, options: dict[str, Any], method: Any
) -> None:
    by_name, by_options, usual = made(), made(), made()
    objective = NetworkObjective(copy.deepcopy(by_name), SquaredError())
    expected = minimise(method, BoundObjective(objective, samples()), objective.theta, max_iterations=6)
    named = TrainingConfig(optimizer=name, optimizer_options=options, max_epochs=6)
    assert named == TrainingConfig(optimizer=method, max_epochs=6)
    train(by_name, SquaredError(), samples(), named)
    train(by_options, SquaredError(), samples(), TrainingConfig(optimizer=method, max_epochs=6))
    train(usual, SquaredError(), samples(), TrainingConfig(optimizer=name, max_epochs=6))
    assert torch.equal(flat(by_name), expected.theta)
    assert torch.equal(flat(by_options), expected.theta)
    assert not torch.equal(flat(usual), expected.theta)


FIRST_ORDER: list[tuple[str, dict[str, Any], Any, dict[str, Any]]] = [
    ("momentum", {"momentum": 0.5}, torch.optim.SGD, {"momentum": 0.5}),
    ("momentum", {"nesterov": True}, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ("momentum", {"dampening": 0.5}, torch.optim.SGD, {"momentum": 0.9, "dampening": 0.5}),
    ("adam", {"beta1": 0.5, "beta2": 0.9}, torch.optim.Adam, {"betas": (0.5, 0.9)}),
    ("adam", {"eps": 0.1, "amsgrad": True}, torch.optim.Adam, {"eps": 0.1, "amsgrad": True}),
    ("adamw", {"beta1": 0.0}, torch.optim.AdamW, {"betas": (0.0, 0.999)}),
]


@pytest.mark.parametrize(("name", "options", "kind", "own"), FIRST_ORDER, ids=str)
def test_training_with_an_option_is_torchs_optimiser_with_it_bit_for_bit(
    name: str, options: dict[str, Any], kind: Any, own: dict[str, Any]
) -> None:
    network, usual, data = made(), made(), samples()
    by_hand = copy.deepcopy(network)
    weights = trainable(by_hand)
    optimizer = kind(weights, lr=0.1, weight_decay=0.01, **own)
    for _ in range(4):
        _, gradient = Backpropagation().value_and_gradient(by_hand, SquaredError(), data)
        for weight, part in zip(weights, gradient, strict=True):
            weight.grad = part
        optimizer.step()
    rest: dict[str, Any] = {"learning_rate": 0.1, "weight_decay": 0.01, "max_epochs": 4, "bucket": False}
    ordered = {**rest, "batch_size": len(data), "optimizer": name}
    train(network, SquaredError(), data, TrainingConfig(optimizer_options=options, **ordered))
    train(usual, SquaredError(), data, TrainingConfig(**ordered))
    # training takes the sequences of a batch in a random order, which changes the last bits of a sum
    torch.testing.assert_close(flat(network), flat(by_hand), rtol=0, atol=1e-12)
    assert float((flat(usual) - flat(by_hand)).abs().max()) > 1e-6


@pytest.mark.costly
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lbfgs", {"history_size": 2, "line_search.curvature": 0.5}),
        ("hessian_free", {"preconditioner": "lbfgs", "structural": 0.1}),
        ("adam", {"beta1": 0.5, "amsgrad": True}),
        ("momentum", {"momentum": 0.5, "nesterov": True}),
    ],
)
def test_a_run_records_its_options_and_goes_on_with_them_to_the_bit(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    def config(epochs: int, **more: Any) -> TrainingConfig:
        return TrainingConfig(optimizer=name, max_epochs=epochs, batch_size=2, **more)

    class Stopped(Exception):
        """The end of a process."""

    class Stopping(Callback):
        def on_batch_end(self, training: TrainingInfo, batch: BatchEnd) -> None:
            if (batch.epoch, batch.batch) == (2, 2):
                raise Stopped

    undisturbed, disturbed, resumed = made(), made(), made()
    train(undisturbed, SquaredError(), samples(), config(3, optimizer_options=options))
    with pytest.raises(Stopped), Run(tmp_path / "run", every_seconds=0.0) as run:
        train(
            disturbed,
            SquaredError(),
            samples(),
            config(3, optimizer_options=options),
            run=run,
            callbacks=[Stopping()],
        )
    record = json.loads((tmp_path / "run" / "history.jsonl").read_text().splitlines()[0])["record"]["config"]
    recorded = {
        **record.get("optimizer_options", {}),
        **({"momentum": record["momentum"]} if record["momentum"] else {}),
    }
    assert recorded == options
    with Run(tmp_path / "run", resume=True) as run:
        train(resumed, SquaredError(), samples(), config(3, optimizer_options=options), run=run)
    assert torch.equal(flat(resumed), flat(undisturbed))
    with (
        Run(tmp_path / "run", resume=True) as run,
        pytest.raises(InputError, match=r"holds a run with config\.(optimizer_options|momentum).* = .*, not "),
    ):
        train(made(), SquaredError(), samples(), config(3), run=run)


def test_momentum_is_said_once() -> None:
    by_field = TrainingConfig(optimizer="momentum", momentum=0.5)
    assert by_field == TrainingConfig(optimizer="momentum", optimizer_options={"momentum": 0.5})
    assert by_field == TrainingConfig(optimizer="momentum", momentum=0.5, optimizer_options={"momentum": 0.5})
    assert by_field.resolved(1).momentum == 0.5
    with pytest.raises(
        InputError, match=r"^momentum is 0\.5, and 0\.9 among the optimiser's options; expected it once$"
    ):
        TrainingConfig(optimizer="momentum", momentum=0.5, optimizer_options={"momentum": 0.9})


def test_configurations_with_options_are_hashable_and_hide_no_mapping_of_the_caller() -> None:
    options = {"history_size": 5}
    config = TrainingConfig(optimizer="lbfgs", optimizer_options=options)
    assert hash(config) == hash(TrainingConfig(optimizer="lbfgs", optimizer_options={"history_size": 5}))
    options["history_size"] = 7
    assert config.optimizer_options == {"history_size": 5}
