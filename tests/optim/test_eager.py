"""The first-order optimisers: torch.optim's own, bit for bit, without torch's compiler."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from longlag.optim import eager

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True}),
]


def made(name: str, options: dict[str, Any], home: Any) -> tuple[list[nn.Parameter], torch.optim.Optimizer]:
    generator = torch.Generator().manual_seed(0)
    weights = [
        nn.Parameter(torch.randn(4, 3, generator=generator)),
        nn.Parameter(torch.randn(5, dtype=torch.float64, generator=generator)),
        nn.Parameter(torch.randn((), generator=generator)),
        nn.Parameter(torch.randn(2, generator=generator)),  # never has a gradient
    ]
    return weights, getattr(home, name)(weights, **options)


def descend(weights: list[nn.Parameter], optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for number in range(first, last):
        generator = torch.Generator().manual_seed(number)
        optimizer.zero_grad()
        for weight in weights[:3]:
            weight.grad = torch.randn(weight.shape, dtype=weight.dtype, generator=generator) + weight.detach()
        optimizer.param_groups[0]["lr"] *= 0.97
        optimizer.step()


def flat(state: Any) -> list[Any]:
    """Numbers, words and tensors of nested state, in order."""
    if isinstance(state, dict):
        return [part for key, value in state.items() for part in (key, *flat(value))]
    if isinstance(state, (list, tuple)):
        return [part for value in state for part in flat(value)]
    return [(state.dtype, state.tolist())] if isinstance(state, Tensor) else [state]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_an_optimiser_is_torchs_bit_for_bit_in_weights_and_in_state(name: str, options: dict[str, Any]) -> None:
    ours, own = made(name, options, eager)
    theirs, torchs = made(name, options, torch.optim)
    descend(ours, own, 0, 60)
    descend(theirs, torchs, 0, 60)
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert flat(own.state_dict()) == flat(torchs.state_dict())


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_the_state_of_either_goes_on_in_the_other(name: str, options: dict[str, Any]) -> None:
    whole, torchs = made(name, options, torch.optim)
    descend(whole, torchs, 0, 20)
    for first, second in ((eager, torch.optim), (torch.optim, eager)):
        weights, optimizer = made(name, options, first)
        descend(weights, optimizer, 0, 10)
        again, other = made(name, options, second)
        other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        with torch.no_grad():
            for weight, value in zip(again, weights, strict=True):
                weight.copy_(value)
        descend(again, other, 10, 20)
        assert all(torch.equal(one, two) for one, two in zip(whole, again, strict=True))


@pytest.mark.parametrize("name", eager.__all__)
def test_hooks_closures_and_groups_are_those_of_torch(name: str) -> None:
    weight, late = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    optimizer = getattr(eager, name)([weight], lr=0.5)
    assert isinstance(optimizer, getattr(torch.optim, name))
    optimizer.add_param_group({"params": [late], "lr": 0.25})
    seen: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))

    def closure() -> float:
        assert torch.is_grad_enabled()
        seen.append("closure")
        optimizer.zero_grad()
        loss = weight.square().sum() + late.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    assert optimizer.step(closure) == 5.0
    assert seen == ["before", "closure", "after"]
    assert bool((weight < 1).all() and (late < 1).all())
    optimizer.zero_grad(set_to_none=False)
    assert weight.grad is not None
    assert not weight.grad.any()


PROGRAM = """
import sys, torch
from longlag import LSTM, Network, SequenceBatch
from longlag.nn import SquaredError
from longlag.training import TrainingConfig, torch_optimizers, train
batch = SequenceBatch.every_step([torch.ones(3, 1)], [torch.ones(3, 1)])
for name in ("sgd", "momentum", "adam", "adamw"):
    train(Network(LSTM(1, 2), 1), SquaredError(), batch, TrainingConfig(optimizer=name, max_epochs=2), validation=batch)
    optimizer = torch_optimizers.make(TrainingConfig(optimizer=name).resolved(1), [torch.nn.Parameter(torch.ones(2))])
    torch_optimizers.unpack(optimizer, torch_optimizers.pack(optimizer))
print(*(name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules))
"""


@pytest.mark.processes
def test_training_does_not_wait_for_torchs_compiler() -> None:
    child = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert child.stdout == "\n"
