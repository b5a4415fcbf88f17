"""A learner's numbers from a state_dict. All of them are checked before the learner takes any."""

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

__all__ = ["PENDING", "LearnerState", "grown_topology", "parse_state"]

PENDING = "waiting."
"""Stands before the names of pending changes in a state_dict; the word stays, so that learners saved earlier load."""


class LearnerState(NamedTuple):
    """Arrays by name with a first axis of networks: ``weights``, ``state``, ``pending`` changes. The latter two are
    empty where the state_dict has none. ``growth`` and ``generator`` are as in the state_dict."""

    weights: dict[str, NDArray[Any]]
    state: dict[str, NDArray[Any]]
    pending: dict[str, NDArray[Any]]
    growth: NDArray[Any] | None
    generator: Tensor | None


def grown_topology(state_dict: Mapping[str, Tensor], topology: Topology, growth: Growth | None) -> Topology:
    """Return ``topology`` with as many blocks as the saved net has: a net that grows may have more or fewer.

    Raises InputError if there are more than ``growth`` allows. Other misfits are left to ``parse_state``.
    """
    weight = state_dict.get("readout.weight")
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


def parse_state(
    state_dict: Mapping[str, Tensor],
    topology: Topology,
    networks: int | None,
    dtype: np.dtype[Any],
    *,
    has_pending: bool,
    finite: bool = True,
) -> LearnerState:
    """Return the learner's numbers in a state_dict.

    ``has_pending``: the learner has changes that are pending until the end of a sequence. ``finite``: weights and
    pending changes have to be finite.

    Raises
    ------
    InputError
        If a name is missing or unknown, or a value is no tensor, of another type or shape, or not finite.
    """
    weights = dict(topology.weight_shapes)
    state = {f"state.{name}": shape for name, shape in topology.state_shapes.items()}
    pending = {f"{PENDING}{name}": shape for name, shape in weights.items()} if has_pending else {}
    allowed: dict[str, tuple[int, ...]] = weights | state | pending
    for name in state_dict:
        if name not in allowed and name not in ("growth", "generator"):
            raise InputError(f"the state has {name!r}, which this learner has not")
    for name in weights:
        if name not in state_dict:
            raise InputError(f"the state has no {name!r}")
    for names in (state, pending):
        present = [name for name in names if name in state_dict]
        for name in names:
            if present and name not in state_dict:
                raise InputError(f"the state has {present[0]!r} but no {name!r}; expected both or neither")
    lead = () if networks is None else (networks,)
    arrays = {}
    for name, shape in allowed.items():
        if name in state_dict:
            value = _numbers(name, state_dict[name], (*lead, *shape), dtype)
            if finite and name not in state and not np.isfinite(value).all():
                raise InputError(f"{name} has a NaN or infinite value; expected finite numbers of {dtype}")
            arrays[name] = value.reshape(networks or 1, *shape)
    growth = None
    if "growth" in state_dict:
        growth = _numbers("growth", state_dict["growth"], (3,), np.dtype(np.float64))
        if not ((growth >= 0).all() and np.isfinite(growth[1])):
            raise InputError(f"growth is {growth.tolist()}; expected a sum, a count and a mean of errors, at least 0")
    if "generator" in state_dict:
        check_generator(state_dict["generator"])

    def part(names: Mapping[str, Any], prefix: str = "") -> dict[str, NDArray[Any]]:
        return {name.removeprefix(prefix): arrays[name] for name in names if name in arrays}

    return LearnerState(
        part(weights), part(state, "state."), part(pending, PENDING), growth, state_dict.get("generator")
    )


def _numbers(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    if not isinstance(value, Tensor):
        raise InputError(f"{name} is a {type(value).__name__}; expected a tensor of floating point numbers")
    if not value.is_floating_point():
        raise InputError(f"{name} is of {value.dtype}; expected a type of floating point numbers")
    if tuple(value.shape) != shape:
        raise InputError(f"{name} has shape {tuple(value.shape)}; expected {shape}")
    wide = torch.float64 if dtype == np.float64 else torch.float32
    return value.detach().cpu().to(wide).numpy().copy()
