"""The types of what a client writes: typed_client.py runs, and stands among the files whose types are checked."""

from __future__ import annotations

import re
import tomllib
import typing
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

import typed_client
from longlag import LSTM, Network

ROOT = Path(__file__).parents[1]


def test_the_client_runs() -> None:
    results = typed_client.main()
    assert all(isinstance(result, Tensor) and torch.isfinite(result).all() for result in results)


def test_the_clients_types_are_checked_with_those_of_the_sources() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "tests/typed_client.py" in config["tool"]["mypy"]["files"]
    assert re.search(r"mypy --strict .*tests/typed_client\.py", (ROOT / "Makefile").read_text())


def test_a_call_and_its_forward_promise_the_same() -> None:
    expected = [(Tensor, Tensor), (PackedSequence, PackedSequence)]
    called = LSTM.__annotations__["__call__"], Network.__annotations__["__call__"]
    assert called == ("SequenceCall", "SequenceCall")
    for module in (LSTM, Network):
        hints = [typing.get_type_hints(overload) for overload in typing.get_overloads(module.forward)]
        assert [(hint["input"], typing.get_args(hint["return"])[0]) for hint in hints] == expected
