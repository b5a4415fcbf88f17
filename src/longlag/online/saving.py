"""A learner's numbers out of a state_dict: everything is checked before anything is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longlag.errors import InputError
from longlag.online.generator import check_generator
from longlag.online.growth import Growth
from longlag.online.topology import Topology

__all__ = ["Saved", "grown_to", "numbers_of"]


class Saved(NamedTuple):
    """By name, with a first axis of networks: ``weights``, ``state`` and ``waiting`` changes, the latter two empty if
    not saved. ``growth`` and ``generator`` as they were saved."""

    weights: dict[str, NDArray[Any]]
    state: dict[str, NDArray[Any]]
    waiting: dict[str, NDArray[Any]]
    growth: NDArray[Any] | None
    generator: Tensor | None


def grown_to(given: Mapping[str, Tensor], topology: Topology, growth: Growth | None) -> Topology:
    """``topology`` with as many blocks as the saved net has, which may have grown to more or to fewer.

    Raises InputError if there are more than ``growth`` allows. Other misfits are left to ``numbers_of``.
    """
    weight = given.get("readout.weight")
    if growth is None or not isinstance(weight, Tensor) or weight.ndim != 2:
        return topology
    fixed = topology.input_size if topology.reads == "cells+inputs" else 0
    hidden = weight.shape[1] - fixed - topology.cell.conventional_units
    if hidden < 0 or hidden % topology.cell.cells_per_block:
        return topology
    blocks = topology.cell.blocks(hidden)
    if blocks > growth.max_blocks:
        raise InputError(f"the state has {blocks} blocks; expected at most growth.max_blocks, {growth.max_blocks}")
    return replace(topology, hidden_size=hidden)


def numbers_of(
    given: Mapping[str, Tensor],
    topology: Topology,
    networks: int | None,
    dtype: np.dtype[Any],
    *,
    waits: bool,
    finite: bool = True,
) -> Saved:
    """``waits``: the learner has changes that wait for the end of the sequence. ``finite``: weights have to be.

    Raises
    ------
    InputError
        If a name is missing or unknown, or a value is no tensor, of another type or shape, or not finite.
    """
    wanted = dict(topology.weight_shapes)
    state = {f"state.{name}": shape for name, shape in topology.state_shapes.items()}
    waiting = {f"waiting.{name}": shape for name, shape in wanted.items()} if waits else {}
    allowed: dict[str, tuple[int, ...]] = wanted | state | waiting
    for name in given:
        if name not in allowed and name not in ("growth", "generator"):
            raise InputError(f"the state has {name!r}, which this learner has not")
    for name in wanted:
        if name not in given:
            raise InputError(f"the state has no {name!r}")
    for part in (state, waiting):
        held = [name for name in part if name in given]
        for name in part:
            if held and name not in given:
                raise InputError(f"the state has {held[0]!r} but no {name!r}; expected both or neither")
    lead = () if networks is None else (networks,)
    found = {}
    for name, shape in allowed.items():
        if name in given:
            value = _numbers(name, given[name], (*lead, *shape), dtype)
            if finite and name not in state and not np.isfinite(value).all():
                raise InputError(f"{name} has a NaN or infinite value; expected finite numbers of {dtype}")
            found[name] = value.reshape(networks or 1, *shape)
    growth = None
    if "growth" in given:
        growth = _numbers("growth", given["growth"], (3,), np.dtype(np.float64))
        if not ((growth >= 0).all() and np.isfinite(growth[1])):
            raise InputError(f"growth is {growth.tolist()}; expected a sum, a count and a mean of errors, at least 0")
    if "generator" in given:
        check_generator(given["generator"])
    weights, before, changes = (
        {name.removeprefix(prefix): found[name] for name in part if name in found}
        for part, prefix in ((wanted, ""), (state, "state."), (waiting, "waiting."))
    )
    return Saved(weights, before, changes, growth, given.get("generator"))


def _numbers(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    if not isinstance(value, Tensor):
        raise InputError(f"{name} is a {type(value).__name__}; expected a tensor of floating point numbers")
    if not value.is_floating_point():
        raise InputError(f"{name} is of {value.dtype}; expected a type of floating point numbers")
    if tuple(value.shape) != shape:
        raise InputError(f"{name} has shape {tuple(value.shape)}; expected {shape}")
    wide = torch.float64 if dtype == np.float64 else torch.float32
    return value.detach().cpu().to(wide).numpy().copy()
