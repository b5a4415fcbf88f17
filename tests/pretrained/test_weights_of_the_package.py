"""The weights in the package: read whole, or refused in one sentence before a network is built."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from longlag.cell import CellSpec
from longlag.errors import CheckpointError
from longlag.pretrained.torch_network import torch_network
from longlag.pretrained.weights import FOLDER, expected_shapes, packaged_weights, read_weights
from pretrained.models import random_weights

SETTINGS = {"hidden_size": 6, "num_layers": 2, "head_size": 5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with small weights in float16."""
    arrays = {name: array.astype(np.float16) for name, array in random_weights().arrays.items()}
    save_file(arrays, tmp_path / "weights.safetensors")
    (tmp_path / "manifest.json").write_text(json.dumps({"settings": SETTINGS}), encoding="utf-8")
    return tmp_path


def test_weights_are_those_of_the_file_in_float32(folder: Path) -> None:
    weights, stored = read_weights(folder), load_file(folder / "weights.safetensors")
    assert weights.arrays.keys() == stored.keys()
    for name, array in weights.arrays.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, stored[name].astype(np.float32))


@pytest.mark.parametrize(
    "settings",
    [{}, {"cell": CellSpec(peepholes=True, biases="single"), "learn_sharpness": True}, {"num_layers": 3}],
)
def test_the_shapes_expected_are_those_of_the_module(settings: dict[str, Any]) -> None:
    weights = random_weights(**settings)
    module = torch_network(weights)  # which refuses missing and further names, and other shapes
    assert [*module.state_dict()] == [*expected_shapes(weights.settings)]


def test_the_package_has_weights_of_at_most_a_megabyte() -> None:
    assert packaged_weights() is packaged_weights()
    assert (FOLDER / "weights.safetensors").stat().st_size <= 2**20


def manifest(folder: Path, **settings: Any) -> None:
    (folder / "manifest.json").write_text(json.dumps({"settings": SETTINGS | settings}), encoding="utf-8")


def lay(folder: Path, **arrays: Any) -> None:
    stored = load_file(folder / "weights.safetensors") | arrays
    save_file({name: array for name, array in stored.items() if array is not None}, folder / "weights.safetensors")


def cut(folder: Path, end: int | None) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:end])


def header(folder: Path, length: int) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no weights": (lambda f: (f / "weights.safetensors").unlink(), r"weights.safetensors is missing; .*reinstall"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), r"manifest.json is missing; .*reinstall"),
    "no JSON": (lambda f: (f / "manifest.json").write_text("{"), "damaged .*reinstall"),
    "a list": (lambda f: (f / "manifest.json").write_text("[]"), "holds no JSON object"),
    "no settings": (lambda f: (f / "manifest.json").write_text("{}"), "settings is None"),
    "another size": (lambda f: manifest(f, hidden_size=8), r"is F16 of shape .* expected F16 or F32 of shape"),
    "a huge size": (lambda f: manifest(f, hidden_size=10**9), "hidden_size is 1000000000; expected"),
    "a size that is none": (lambda f: manifest(f, num_layers="2"), "num_layers is '2'"),
    "an unknown setting": (lambda f: manifest(f, proj_size=3), "settings has proj_size"),
    "an unknown cell": (lambda f: manifest(f, cell={"zoneout": 1}), "expected options of a cell"),
    "a cell that is none": (lambda f: manifest(f, cell=[1]), "cell is"),
    "an array less": (lambda f: lay(f, **{"answer.bias": None}), "lacks answer.bias"),
    "an array more": (lambda f: lay(f, more=np.zeros(3, np.float16)), "has more"),
    "whole numbers": (lambda f: lay(f, **{"inner.bias": np.zeros(5, np.int16)}), "inner.bias .* is I16"),
    "NaN": (
        lambda f: lay(f, **{"inner.bias": np.full(5, np.nan, np.float16)}),
        "inner.bias .* holds what is no weight",
    ),
    "infinite": (lambda f: lay(f, **{"inner.bias": np.full(5, np.inf, np.float32)}), "inner.bias .* no weight"),
    "cut": (
        lambda f: (f / "weights.safetensors").write_bytes((f / "weights.safetensors").read_bytes()[:-9]),
        "damaged",
    ),
    "empty": (lambda f: cut(f, 0), "damaged"),
    "a huge header": (lambda f: header(f, 2**62), "damaged"),
    "a folder": (lambda f: ((f / "weights.safetensors").unlink(), (f / "weights.safetensors").mkdir()), "damaged"),
}


@pytest.mark.parametrize(("fault", "says"), FAULTS.values(), ids=FAULTS)
def test_what_is_missing_or_damaged_is_said_in_one_sentence(
    fault: Callable[[Path], object], says: str, folder: Path
) -> None:
    fault(folder)
    with pytest.raises(CheckpointError, match=says) as refused:
        read_weights(folder)
    assert "\n" not in str(refused.value)
