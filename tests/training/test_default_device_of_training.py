"""torch's default device is the caller's own business: training on the CPU does not depend on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from longlag.gradients import ScheduledSampling
from longlag.nn import SquaredError
from longlag.training import Run, TrainingConfig, evaluate, train
from training.small import flat, made, samples

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

CONFIGS: dict[str, dict[str, Any]] = {
    "adam": {},
    "momentum": {"optimizer": "momentum"},
    "windows": {"gradient": "tbptt", "k1": 2, "k2": 2},
    "feeding": {"sampling_probability": 0.5},
    "lbfgs": {"optimizer": "lbfgs"},
    "hessian_free": {"optimizer": "hessian_free"},
    "levenberg_marquardt": {"optimizer": "levenberg_marquardt"},
}


@pytest.mark.costly
@pytest.mark.parametrize("name", CONFIGS)
def test_training_and_resuming_under_another_default_device_give_the_same_bits(name: str, tmp_path: Path) -> None:
    def trained(epochs: int, run: Run | None) -> torch.Tensor:
        config = TrainingConfig(max_epochs=epochs, batch_size=2, seed=3, **CONFIGS[name])
        network = NETWORK()
        sampling = ScheduledSampling(1) if "sampling_probability" in CONFIGS[name] else None
        train(network, SquaredError(), data, config, validation=data, sampling=sampling, run=run)
        return flat(network)

    data, NETWORK = samples(), made
    expected = trained(3, None)
    networks = iter([made(), made()])
    NETWORK = lambda: next(networks)  # noqa: E731 - made before, on the CPU
    with torch.device("meta"):
        with Run(tmp_path / "run", every_seconds=0.0) as run:
            assert torch.equal(trained(3, run), expected)
        with Run(tmp_path / "run", resume=True) as run:
            assert torch.equal(trained(3, run), expected)


def test_evaluation_under_another_default_device_gives_the_same_number() -> None:
    network, data = made(), samples()
    expected = evaluate(network, SquaredError(), data, batch_size=2)
    with torch.device("meta"):
        assert evaluate(network, SquaredError(), data, batch_size=2) == expected
