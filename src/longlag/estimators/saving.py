"""A saved estimator: its parameters as JSON data, and the checks that its files pass before anything is built.

Whoever can write a directory can write a manifest whose digests fit. So nothing that it says is believed: a size counts
only if the tensors in the files have it, and every value has its type and range.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longlag.cell import CellSpec
from longlag.data.scale import Standardizer
from longlag.errors import CheckpointError
from longlag.estimators.parameters import python_value
from longlag.nn.network import Reads
from longlag.nn.sizes import LayerSizes
from longlag.training import Schedule

__all__ = [
    "ARRAYS",
    "WEIGHTS",
    "array",
    "check_keys",
    "check_weights",
    "packed_parameters",
    "scaler_arrays",
    "scaler_of",
    "unpacked_parameters",
]

WEIGHTS, ARRAYS = "network.safetensors", "arrays.safetensors"

_DATACLASSES = {"CellSpec": CellSpec, "Schedule": Schedule}
"""The only classes of which a saved estimator's parameters may be."""

_OPTIONS = "options"
"""The type of a mapping from the names of options to their values."""

_PAIRS = "pairs"
"""The type of any other mapping, such as from the labels of classes to numbers."""

_PLACES = frozenset(("run_dir", "resume", "device", "executor", "callbacks"))
"""Parameters that are not saved: where a model was trained says nothing about what it is."""


# -- parameters --------------------------------------------------------------------------------------------------------


def packed_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON data; dataclasses of the closed list carry their name."""
    return {name: _packed(value) for name, value in parameters.items() if name not in _PLACES}


def unpacked_parameters(parameters: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    """The inverse of ``packed_parameters``.

    Raises
    ------
    CheckpointError
        If one is not among ``names``, or not of a type of the closed list.
    """
    unknown = parameters.keys() - (names - _PLACES)
    if unknown:
        raise CheckpointError(f"it has unknown parameters {sorted(unknown)}")
    return {name: _unpacked(value) for name, value in parameters.items()}


def _packed(value: Any) -> Any:
    value = python_value(value)
    for name, kind in _DATACLASSES.items():
        if isinstance(value, kind):
            return {"type": name, **dataclasses.asdict(value)}  # type: ignore[call-overload]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {"type": _OPTIONS, "values": {str(name): python_value(item) for name, item in value.items()}}
    if isinstance(value, Mapping):
        return {"type": _PAIRS, "values": [[python_value(name), python_value(item)] for name, item in value.items()]}
    if isinstance(value, (np.random.RandomState, np.random.Generator)):
        return None
    if isinstance(value, (list, tuple)):
        return [_packed(item) for item in value]
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        name = value.get("type", "")
        if name == _OPTIONS and isinstance(value.get("values"), dict):
            return value["values"]
        if name == _PAIRS:
            return _mapping(value.get("values"))
        if not isinstance(name, str) or name not in _DATACLASSES:
            raise CheckpointError(
                f"a parameter has type {name!r}; expected one of {', '.join((*_DATACLASSES, _OPTIONS, _PAIRS))}"
            )
        return _DATACLASSES[name](**{key: item for key, item in value.items() if key != "type"})
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    return value


def _mapping(pairs: Any) -> dict[Any, Any]:
    """A mapping of pairs (label, number)."""
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], (str, int, float)) for pair in pairs
    ):
        raise CheckpointError(f"a parameter has the pairs {pairs!r}; expected labels with a number each")
    return dict(pairs)


# -- what files must hold ----------------------------------------------------------------------------------------------


def check_keys(what: str, mapping: Any, expected: set[str]) -> None:
    """Refuse a document, or files, whose names are not exactly these."""
    if not isinstance(mapping, Mapping) or mapping.keys() != expected:
        names = sorted(mapping) if isinstance(mapping, Mapping) else mapping
        raise CheckpointError(f"{what} is {names!r}; expected {', '.join(sorted(expected)) or 'nothing'}")


def check_weights(weights: Mapping[str, Tensor], sizes: LayerSizes, output_size: int, reads: Reads) -> None:
    """Refuse weights that are not those of a network of these sizes, or not numbers. Nothing is allocated."""
    expected = sizes.num_layers * sizes.num_directions * len(sizes.parameter_shapes(0)) + 2
    if len(weights) != expected:  # first, because a claim of 2**63 layers is refuted without their names
        raise CheckpointError(f"the network has {len(weights)} tensors of weights; expected {expected}")
    columns = sizes.output_size + (sizes.input_size if reads == "cells+inputs" else 0)
    shapes = {f"lstm.{name}": shape for name, shape in sizes.all_shapes().items()}
    shapes |= {"readout.weight": (output_size, columns), "readout.bias": (output_size,)}
    kind = next(iter(weights.values())).dtype
    for name, shape in shapes.items():
        if name not in weights:
            raise CheckpointError(f"the network has no weights {name!r}; expected some of shape {shape}")
        weight = weights[name]
        if weight.shape != shape:
            raise CheckpointError(f"{name} has shape {tuple(weight.shape)}; expected {shape}")
        if weight.dtype != kind or not kind.is_floating_point:
            raise CheckpointError(f"{name} is {weight.dtype}; expected one floating-point type for all weights")
        if not bool(torch.isfinite(weight).all()):
            raise CheckpointError(f"{name} holds NaN or infinity; expected finite numbers")


def array(
    arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int | None, ...], *, missing: bool = False
) -> NDArray[np.float64]:
    """The saved array ``name``, whose axes have these lengths; None is any length.

    Raises
    ------
    CheckpointError
        If it is missing, of another shape or type, or holds infinity, or NaN where no value may be ``missing``.
    """
    if name not in arrays:
        raise CheckpointError(f"the array {name!r} is missing; it has {sorted(arrays)}")
    values = arrays[name]
    fits = values.ndim == len(shape) and all(
        length in (None, size) for length, size in zip(shape, values.shape, strict=True)
    )
    if not fits or values.dtype != np.float64:
        lengths = ", ".join("any" if length is None else str(length) for length in shape)
        raise CheckpointError(f"{name} is {values.dtype} of shape {values.shape}; expected float64 ({lengths})")
    if not (np.isfinite(values) | (np.isnan(values) & missing)).all():
        raise CheckpointError(f"{name} holds {'' if missing else 'NaN or '}infinity; expected finite numbers")
    return values


def scaler_arrays(name: str, scaler: Standardizer | None) -> dict[str, NDArray[np.float64]]:
    """The arrays of a scaler, by names that begin with ``name``; none where there is no scaler."""
    return {} if scaler is None else {f"{name}_{key}": value for key, value in scaler.state().items()}


def scaler_of(name: str, arrays: Mapping[str, NDArray[Any]], features: int) -> Standardizer:
    """The scaler of so many features whose arrays ``scaler_arrays`` gave."""
    return Standardizer.from_state({key: array(arrays, f"{name}_{key}", (features,)) for key in ("mean", "scale")})
