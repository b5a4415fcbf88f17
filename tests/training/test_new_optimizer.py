"""An optimiser costs its own file and a line in the table; training, checkpoints and refusals then know it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longlag import optimizers
from longlag.errors import CheckpointError, InputError
from longlag.estimators import LSTMRegressor
from longlag.gradients import NetworkObjective
from longlag.nn import SquaredError
from longlag.optim import BoundObjective, minimise
from longlag.training import Callback, Run, TrainingConfig, TrainingInfo, train
from training.small import flat, made, samples
from training.toy_method import ToyMethod, ToyState


@pytest.fixture(autouse=True)
def _toy_is_an_optimiser(monkeypatch: pytest.MonkeyPatch) -> None:
    line = optimizers.OptimizerEntry(
        options="training.toy_method:ToyMethod", is_method=True, default_batch=optimizers.one_batch
    )
    monkeypatch.setitem(optimizers.OPTIMIZERS, "toy", line)


def config(**options: Any) -> TrainingConfig:
    return TrainingConfig(optimizer="toy", **{"max_epochs": 6, **options})


def test_it_trains_by_its_name_and_its_options() -> None:
    networks = [made() for _ in range(3)]
    objective = NetworkObjective(copy.deepcopy(networks[0]), SquaredError())
    method = ToyMethod(length=0.05)
    expected = minimise(method, BoundObjective(objective, samples()), objective.theta, max_iterations=6)
    train(networks[0], SquaredError(), samples(), config(optimizer_options={"length": 0.05}))
    train(networks[1], SquaredError(), samples(), TrainingConfig(optimizer=method, max_epochs=6))
    train(networks[2], SquaredError(), samples(), config())
    assert torch.equal(flat(networks[0]), expected.theta)
    assert torch.equal(flat(networks[1]), expected.theta)
    assert not torch.equal(flat(networks[2]), expected.theta)


def test_its_state_goes_through_tensors_and_comes_back_to_the_bit() -> None:
    objective = NetworkObjective(made(), SquaredError())
    function, method = BoundObjective(objective, samples()), ToyMethod()
    state = method.start(function, objective.theta)
    for _ in range(3):
        again = ToyState.unpack(state.pack())
        assert vars(again).keys() == vars(state).keys()
        for name, value in vars(state).items():
            assert type(getattr(again, name)) is type(value)
            same = getattr(again, name)
            if isinstance(value, dict):
                assert value.keys() == same.keys()
                assert all(torch.equal(value[key], same[key]) for key in value)
            else:
                assert torch.equal(same, value) if isinstance(value, torch.Tensor) else same == value
        for one in (state, again):
            method.step(function, one)
        assert torch.equal(again.theta, state.theta)


class Killed(Exception):
    """What ends a run in the middle."""


@pytest.mark.costly
@pytest.mark.parametrize("killed_after", range(1, 6))
def test_a_run_that_is_killed_goes_on_bit_for_bit(killed_after: int, tmp_path: Path) -> None:
    options = {"optimizer_options": {"length": 0.05, "decay": 0.9}, "batch_size": 2, "inner_iterations": 2}
    whole = made()
    train(whole, SquaredError(), samples(), config(**options))

    class Killing(Callback):
        def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> None:
            if entry["epoch"] == killed_after:
                raise Killed

    with pytest.raises(Killed), Run(tmp_path / "run", every_seconds=0.0) as run:
        train(made(), SquaredError(), samples(), config(**options), run=run, callbacks=[Killing()])
    resumed = made()
    with Run(tmp_path / "run", resume=True, every_seconds=0.0) as run:
        train(resumed, SquaredError(), samples(), config(**options), run=run)
    assert torch.equal(flat(resumed), flat(whole))
    with (
        pytest.raises(InputError, match=r"config\.optimizer_options\.decay = 0\.9, not None"),
        Run(tmp_path / "run", resume=True) as run,
    ):
        train(made(), SquaredError(), samples(), config(**{**options, "optimizer_options": {"length": 0.05}}), run=run)


def test_it_is_refused_with_its_own_options_listed() -> None:
    with pytest.raises(InputError, match=r"^optimizer='toy' has no option 'size'; expected one of length, decay$"):
        config(optimizer_options={"size": 1})
    with pytest.raises(InputError, match=r"^Toy: length is -1; expected a number above 0$"):
        config(optimizer_options={"length": -1})
    with pytest.raises(InputError, match=r"optimizer is 'lion'; expected one of .*, levenberg_marquardt, toy$"):
        TrainingConfig(optimizer="lion")
    with pytest.raises(InputError, match=r"expected it with lbfgs, cg, hessian_free, levenberg_marquardt or toy$"):
        TrainingConfig(optimizer="adam", inner_iterations=2)


def test_an_estimator_trains_by_it() -> None:
    series = np.random.default_rng(0).normal(size=(12, 5, 1))
    options = {"hidden_size": 3, "optimizer": "toy", "max_epochs": 2, "random_state": 0}
    plain, longer = (
        LSTMRegressor(**options, optimizer_options=more).fit(series, series[:, 0, 0]).predict(series)
        for more in (None, {"length": 0.5})
    )
    assert not np.array_equal(plain, longer)


def test_memory_of_another_kind_is_refused() -> None:
    theta = torch.zeros(2)
    packed = ToyState(theta, 0.0, theta).pack()
    assert packed.keys() == {"theta", "value", "gradient", "steps", "moved"}
    for change, message in (
        ({"value": theta}, r"the optimiser's state has 'value' of shape \(2,\); expected a number, as in a ToyState"),
        ({"gradient": None}, "the optimiser's state has no 'gradient'; expected that of a ToyState"),
        ({"longer": theta}, "the optimiser's state has an entry 'longer'; expected those of a ToyState alone"),
    ):
        with pytest.raises(CheckpointError, match=f"^{message}$"):
            ToyState.unpack({name: value for name, value in (packed | change).items() if value is not None})
