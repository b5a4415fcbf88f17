"""The types of what a client writes: typed_client.py runs, and stands among the files whose types are checked."""

from __future__ import annotations

import inspect
import re
import tomllib
import typing
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

import typed_client
from longlag import LSTM, Network
from longlag.nn.calls import SequenceCall

ROOT = Path(__file__).parents[1]


def test_the_client_runs() -> None:
    results = typed_client.main()
    assert all(isinstance(result, Tensor) and torch.isfinite(result).all() for result in results)


def test_the_clients_types_are_checked_with_those_of_the_sources() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "tests/typed_client.py" in config["tool"]["mypy"]["files"]
    assert re.search(r"mypy --strict .*tests/typed_client\.py", (ROOT / "Makefile").read_text())


def test_a_call_and_its_forward_promise_the_same() -> None:
    # A protocol's overloads have no implementation that carries their name: they are looked up by it.
    name = SimpleNamespace(__module__=SequenceCall.__module__, __qualname__=f"{SequenceCall.__name__}.__call__")
    overloads = typing.get_overloads(name)
    hints = [typing.get_type_hints(overload) for overload in overloads]
    expected = [(Tensor, Tensor), (PackedSequence, PackedSequence)]
    assert [(hint["input"], typing.get_args(hint["return"])[0]) for hint in hints] == expected
    called = LSTM.__annotations__["__call__"], Network.__annotations__["__call__"]
    assert called == ("SequenceCall", "SequenceCall")
    # ``sequence_call`` makes type checkers believe it of forward: so it has to take what the overloads take.
    promised = [_parameters(overload) for overload in overloads]
    assert [_parameters(module.forward) for module in (LSTM, Network)] == promised
    for module in (LSTM, Network):
        hint = typing.get_type_hints(module.forward)
        assert hint["input"] == Tensor | PackedSequence
        assert typing.get_args(hint["return"])[0] == Tensor | PackedSequence


def _parameters(function: Callable[..., object]) -> list[inspect.Parameter]:
    """Everything that a function takes besides the input, with kinds, defaults and types."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter for parameter in parameters if parameter.name != "input"]
