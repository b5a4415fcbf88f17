"""The network by the CPU kernels and NumPy computes what the PyTorch module computes, for any cell."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
import torch

from longlag.cell import CellSpec
from longlag.ops.select import native
from longlag.pretrained import zero_shot as module
from longlag.pretrained.features import BASES, INPUTS, QUERY
from longlag.pretrained.torch_network import TorchNetwork, torch_network
from longlag.pretrained.weights import packaged_weights
from pretrained.models import random_weights, seasonal

if native is None:
    pytest.skip("the CPU kernels are not built", allow_module_level=True)
from longlag.pretrained.kernels import KernelNetwork

CELLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "coupled": {"cell": CellSpec.coupled()},
    "peepholes": {"cell": CellSpec.graves2005()},
    "sharp": {"cell": CellSpec(sharpness=3.75)},
    "learned slopes": {"cell": CellSpec(peepholes=True), "learn_sharpness": True},
    "batch paper": {"cell": CellSpec.batch2013(), "learn_sharpness": True},
    "1997": {"cell": CellSpec.hochreiter1997(conventional_units=0)},
    "biases of gates alone": {"cell": CellSpec(biases="gates")},
    "blocks": {"cell": CellSpec(cells_per_block=3)},
    "no recurrence": {"cell": CellSpec(recurrence=False)},
    "one layer": {"num_layers": 1},
    "three layers": {"num_layers": 3},
}


@pytest.mark.parametrize("settings", CELLS.values(), ids=CELLS)
def test_states_and_answers_are_those_of_the_module(settings: dict[str, Any]) -> None:
    weights, rng = random_weights(**settings), np.random.default_rng(1)
    oracle, network = TorchNetwork(torch_network(weights).double()), KernelNetwork(weights)
    inputs, lengths = rng.normal(size=(5, 30, INPUTS)), np.array([30, 1, 17, 30, 2])
    questions, bases = rng.normal(size=(5, 7, QUERY)), rng.normal(size=(5, 7, BASES))
    states = network.read(inputs, lengths)
    assert states.dtype == np.float32
    assert states == pytest.approx(oracle.read(inputs, lengths), abs=2e-5)
    answers = network.answer(states, questions, bases)
    assert answers == pytest.approx(oracle.answer(states, questions, bases), abs=2e-5)
    assert (np.diff(answers, axis=-1) >= 0).all()


def test_what_stands_behind_the_end_of_a_series_is_not_read() -> None:
    network, rng = KernelNetwork(random_weights()), np.random.default_rng(1)
    inputs, lengths = rng.normal(size=(3, 20, INPUTS)), np.array([20, 4, 11])
    states = network.read(inputs, lengths)
    inputs[1, 4:], inputs[2, 11:] = 1e6, -1e6
    assert np.array_equal(network.read(inputs, lengths), states)


def test_outputs_of_any_size_overflow_nothing() -> None:
    network = KernelNetwork(random_weights())
    with np.errstate(all="raise", under="ignore"):
        questions = np.full((1, 2, QUERY), 30.0)
        answers = network.answer(np.full((1, 12 + INPUTS), -300.0, np.float32), questions, np.ones((1, 2, BASES)))
    assert np.isfinite(answers).all()


def test_without_the_kernels_pytorch_answers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = packaged_weights()
    expected = module.ZeroShotModel(module.network_of(weights)).quantiles([seasonal()], 12, (12, 12))
    real = builtins.__import__

    def without_kernels(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "longlag.pretrained.kernels":
            raise ImportError("not built")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_kernels)
    network = module.network_of(weights)
    monkeypatch.undo()
    assert isinstance(network, TorchNetwork)
    answers = module.ZeroShotModel(network).quantiles([seasonal()], 12, (12, 12))
    assert answers == pytest.approx(expected, rel=1e-5)


def test_a_cell_that_the_kernels_do_not_know_is_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CellSpec, "beyond", lambda self, implemented: "zoneout=0.1")
    with pytest.raises(ImportError, match="do not compute zoneout"):
        KernelNetwork(random_weights())


def test_pytorch_answers_on_the_cpu_whatever_the_default_device_is() -> None:
    with torch.device("meta"):
        network = TorchNetwork(torch_network(random_weights()))
        states = network.read(np.zeros((2, 3, INPUTS)), np.array([3, 2]))
    assert np.isfinite(states).all()
