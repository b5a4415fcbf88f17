"""What several tests of durable files begin with."""

from __future__ import annotations

from pathlib import Path

import pytest
from directories import write


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    write(path)
    return path
