"""Fingerprints of data: SHA-256 of arrays and tensors, by which a run knows what it was begun on."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["fingerprint"]


def fingerprint(*arrays: NDArray[Any] | Tensor) -> str:
    """Return the SHA-256, 64 hexadecimal digits, of arrays and tensors in their order: types, shapes and bytes.

    NumPy arrays may hold numbers, text, or Python's text as objects. Tensors may have any strides and device. Runs on
    disk hold these digests, so an array and a tensor of the same numbers have different ones, as they always had.
    """
    digest = hashlib.sha256()
    for array in arrays:
        if isinstance(array, Tensor):
            digest.update(f"{array.dtype} {tuple(array.shape)}".encode())
            digest.update(array.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        else:
            digest.update(f"{array.shape} {array.dtype} ".encode())
            digest.update("\0".join(array.tolist()).encode() if array.dtype == object else array.tobytes())
    return digest.hexdigest()
