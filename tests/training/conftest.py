"""What several tests of training begin with."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power failure would need is tested with the checkpoints; here it would only wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr("longlag.training.run.environment", lambda: {"torch": "here"})
