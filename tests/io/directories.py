"""Directories to write, read, compare and forge, for the tests of their format."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from longlag.io.directory import Saved, read_directory, write_directory
from longlag.io.json import encode_json


def content(seed: int) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    generator = torch.Generator().manual_seed(seed)
    tensors = {"weight": torch.randn(3, 5, generator=generator), "count": torch.tensor(seed)}
    moments = {"first": torch.randn(4, dtype=torch.float64, generator=generator)}
    return {"model.safetensors": tensors, "optimiser.safetensors": moments}, {"seed": seed, "rate": 0.1}


def write(path: Path, seed: int = 1) -> None:
    files, document = content(seed)
    write_directory(path, kind="model", files=files, document=document)


def read(path: Path) -> Saved:
    return read_directory(path, kind="model")


def bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()


def assert_same(saved: Saved, files: dict[str, dict[str, Tensor]], document: dict[str, Any]) -> None:
    assert saved.document == document
    assert saved.files.keys() == files.keys()
    for name, tensors in files.items():
        assert saved.files[name].keys() == tensors.keys()
        for key, tensor in tensors.items():
            found = saved.files[name][key]
            assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
            assert bits(found) == bits(tensor)
            assert found.is_contiguous()
            assert not found.requires_grad


def bytes_of(path: Path) -> dict[str, bytes]:
    return {child.name: child.read_bytes() for child in path.iterdir()}


def forge(path: Path, **changes: Any) -> None:
    """Rewrite the manifest as an attacker can: with a digest that matches."""
    manifest = json.loads((path / "manifest.json").read_bytes())
    manifest.update(changes)
    manifest.pop("digest")
    manifest["digest"] = hashlib.sha256(encode_json(manifest, "")).hexdigest()
    (path / "manifest.json").write_bytes(encode_json(manifest, ""))


def forge_tensors(path: Path, data: bytes) -> None:
    """Replace the tensor file by ``data`` under a matching manifest."""
    for child in path.glob("*.safetensors"):
        child.unlink()
    (path / "m.safetensors").write_bytes(data)
    forge(path, bytes={"m.safetensors": len(data)}, sha256={"m.safetensors": hashlib.sha256(data).hexdigest()})
