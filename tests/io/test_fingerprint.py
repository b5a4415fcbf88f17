"""Fingerprints name data by its numbers, shapes and types, and are those that runs on disk hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longlag.io.fingerprint import fingerprint

NUMBERS = np.arange(6, dtype=np.float64).reshape(2, 3)
WORDS = np.array(["up", "down"], dtype=object)


def test_fingerprints_are_those_that_runs_on_disk_hold() -> None:
    assert fingerprint(NUMBERS) == "80f4a1f8c52b5c8af52af9c126907dec0ec294a312f7ddc44ca37ad4e984daf7"
    assert fingerprint(NUMBERS, WORDS) == "524b64e6f9e24a12d3dc0084914e67fa152fe82d3d996a0905fa07468ae785d1"
    tensor = torch.from_numpy(NUMBERS)
    assert fingerprint(tensor) == "bc0b4ca8b8c2893599d97cc0f7d182abd95cc3d8480a8a287ee9bd3a3b3b1519"
    flags_and_numbers = fingerprint(torch.tensor([True, False]), torch.arange(3))
    assert flags_and_numbers == "dafecaa37cfeea675bfd595a7c2a8faad62e6856bf7624f69df100298e318b6b"


@pytest.mark.parametrize(
    "other",
    [
        NUMBERS.reshape(3, 2),
        NUMBERS.astype(np.float32),
        NUMBERS[::-1],
        np.nextafter(NUMBERS, 9.0),
        torch.from_numpy(NUMBERS),
    ],
)
def test_another_shape_type_order_or_last_bit_is_another_fingerprint(other: object) -> None:
    assert fingerprint(other) != fingerprint(NUMBERS)


def test_strides_say_nothing() -> None:
    assert fingerprint(np.asfortranarray(NUMBERS)) == fingerprint(NUMBERS)
    tensor = torch.from_numpy(NUMBERS)
    assert fingerprint(tensor.t().contiguous().t()) == fingerprint(tensor)
