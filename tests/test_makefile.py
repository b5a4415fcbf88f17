"""What the Makefile rebuilds for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_make_builds_again_after_an_edit_of_any_source_of_the_kernels() -> None:
    show = ["make", "--no-print-directory", "--eval", "show: ; @echo $(BUILD_INPUTS)", "show"]
    inputs = subprocess.run(show, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    sources = [str(path.relative_to(ROOT)) for top in ("src", "laboratory") for path in ROOT.glob(f"{top}/**/*.?pp")]
    assert len(sources) > 20
    assert set(sources) <= set(inputs)
