"""The weights that the package brings: read once in a process, and compared with the network before they are used."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from longlag.cell import CellSpec
from longlag.checks import true_or_false, whole_number
from longlag.errors import CheckpointError, InputError
from longlag.io.json import decode_json
from longlag.nn.sizes import LayerSizes
from longlag.pretrained.features import BASES, INPUTS, QUERY
from longlag.pretrained.levels import LEVELS

__all__ = ["FOLDER", "NetworkSettings", "Weights", "expected_shapes", "packaged_weights", "read_weights"]

FOLDER = Path(__file__).with_name("weights")
"""Where ``longlag pretrain`` writes the weights and how they were made."""

_LARGEST = 1e6
"""The size of a weight beyond which a file is damaged."""


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """What a ``ZeroShotNetwork`` is made of, as plain data."""

    hidden_size: int
    num_layers: int
    head_size: int
    cell: CellSpec
    learn_sharpness: bool = False

    @classmethod
    def from_document(cls, document: Any) -> NetworkSettings:
        """The settings that a manifest names. InputError if they are none."""
        if not isinstance(document, Mapping):
            raise InputError(f"settings is {document!r}; expected the sizes of a network")
        names = ("hidden_size", "num_layers", "head_size")
        others = document.keys() - {*names, "cell", "learn_sharpness"}
        if others:
            raise InputError(f"settings has {', '.join(sorted(others))}; expected {', '.join(names)}, cell")
        sizes = {name: whole_number(name, document.get(name), 1, 4096) for name in names}
        cell = document.get("cell") or {}
        if not isinstance(cell, Mapping):
            raise InputError(f"cell is {cell!r}; expected options of a cell by name")
        try:
            spec = CellSpec(**cell)
        except TypeError as error:
            raise InputError(f"cell is {dict(cell)!r}; expected options of a cell ({error})") from error
        learned = document.get("learn_sharpness", False)
        true_or_false("learn_sharpness", learned)
        return cls(**sizes, cell=spec, learn_sharpness=learned)

    def layers(self) -> list[LayerSizes]:
        """The sizes of each LSTM layer: it reads the inputs and the layer below."""
        return [
            LayerSizes(
                input_size=INPUTS + self.hidden_size * (number > 0),
                hidden_size=self.hidden_size,
                cell=self.cell,
                learn_sharpness=self.learn_sharpness,
            )
            for number in range(self.num_layers)
        ]


@dataclass(frozen=True, eq=False)
class Weights:
    """Settings of a network, and its weights in float32 under the names of its ``state_dict``."""

    settings: NetworkSettings
    arrays: Mapping[str, NDArray[np.float32]]


def expected_shapes(settings: NetworkSettings) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a network's weights, as in its ``state_dict``."""
    head, answers = settings.head_size, BASES + len(LEVELS)
    shapes = {
        f"lstms.{number}.{name}": shape
        for number, sizes in enumerate(settings.layers())
        for name, shape in sizes.all_shapes().items()
    }
    return shapes | {
        "state.weight": (head, settings.hidden_size * settings.num_layers + INPUTS),
        "state.bias": (head,),
        "question.weight": (head, QUERY),
        "inner.weight": (head, head),
        "inner.bias": (head,),
        "answer.weight": (answers, head),
        "answer.bias": (answers,),
    }


@functools.cache
def packaged_weights() -> Weights:
    """The weights of the package. Raises as ``read_weights``."""
    return read_weights(FOLDER)


def read_weights(folder: Path) -> Weights:
    """Read weights and their settings from a folder with manifest.json and weights.safetensors.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged, or the weights do not belong to the network that the manifest names.
    """
    try:
        settings = _settings(folder / "manifest.json")
        return Weights(settings, _arrays(folder / "weights.safetensors", expected_shapes(settings)))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{error.filename or folder} is missing; expected the weights that the package brings: reinstall longlag, "
            "or make them by longlag pretrain"
        ) from error
    except (OSError, ValueError, SafetensorError) as error:  # an InputError is a ValueError
        raise CheckpointError(
            f"the weights in {folder} are damaged ({error}); expected those that the package brings: reinstall longlag"
        ) from error


def _settings(path: Path) -> NetworkSettings:
    document = decode_json(path.read_bytes())
    if not isinstance(document, dict):
        raise InputError(f"{path.name} holds no JSON object")
    return NetworkSettings.from_document(document.get("settings"))


def _arrays(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """The arrays of a file, whose header is compared with what is expected before any of them is read."""
    with open(path, "rb"), safe_open(path, framework="numpy") as file:  # open says what is wrong in words of its own
        names = set(file.keys())
        if names != shapes.keys():
            one = min(names ^ shapes.keys())
            raise InputError(f"{path.name} {'has' if one in names else 'lacks'} {one}")
        for name, shape in shapes.items():
            part = file.get_slice(name)
            if tuple(part.get_shape()) != shape or part.get_dtype() not in ("F16", "F32"):
                raise InputError(
                    f"{name} in {path.name} is {part.get_dtype()} of shape {part.get_shape()}; expected F16 or F32 of "
                    f"shape {list(shape)}"
                )
        arrays = {name: np.ascontiguousarray(file.get_tensor(name), dtype=np.float32) for name in shapes}
    for name, array in arrays.items():
        if not np.all(np.abs(array) <= _LARGEST):
            raise InputError(f"{name} in {path.name} holds what is no weight")
    return arrays
