"""The weights that a pretraining ends with, in half precision, and the manifest that says where they come from."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from longlag.errors import DivergenceError
from longlag.io.files import replace_file, writing
from longlag.io.json import write_json
from longlag.pretrained.network import LEVELS
from longlag_lab.pretraining.batches import Batch
from longlag_lab.pretraining.training import Training
from longlag_lab.pretraining.validation import mean_loss, validate

__all__ = ["MANIFEST", "WEIGHTS", "write_weights"]

WEIGHTS, MANIFEST = "weights.safetensors", "manifest.json"


def write_weights(
    folder: Path, training: Training, facts: Mapping[str, Any], validation: dict[str, list[Batch]]
) -> dict[str, Any]:
    """Write both files, the weights first, and return the manifest.

    The validation is that of the weights in the file: they are rounded before they are validated.

    Raises
    ------
    DivergenceError
        If a weight is too large for half precision.
    """
    rounded = {name: tensor.to(torch.float16) for name, tensor in sorted(training.average.state_dict().items())}
    for name, tensor in rounded.items():
        if not bool(torch.isfinite(tensor).all()):
            raise DivergenceError(f"{name} has a weight beyond half precision; a smaller learning rate may help")
    network = copy.deepcopy(training.average)
    network.load_state_dict({name: tensor.to(torch.float32) for name, tensor in rounded.items()})
    scores = validate(network, validation)
    data = safetensors.torch.save(rounded)
    manifest = {
        "settings": training.settings.network_document(),
        "levels": list(LEVELS),
        "weights": sum(tensor.numel() for tensor in rounded.values()),
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "pretraining": {**training.settings.document(), "updates": training.updates},
        "loss": training.loss,
        "validation": {
            "loss": mean_loss(scores),
            "frequencies": {name: dataclasses.asdict(score) for name, score in scores.items()},
        },
        **facts,
    }
    with writing(folder / WEIGHTS):
        replace_file(folder / WEIGHTS, data)
    write_json(folder / MANIFEST, manifest)
    return manifest
