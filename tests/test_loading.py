"""The garbage collector is paused while large packages load, and then as it was."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from longlag.loading import collector_paused


@pytest.mark.parametrize("collecting", [True, False])
def test_the_collector_is_as_it_was_after_the_block_even_where_the_import_fails(collecting: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        with collector_paused():
            assert not gc.isenabled()
        assert gc.isenabled() is collecting
        with pytest.raises(ImportError), collector_paused():
            import no_such_package  # type: ignore[import-not-found]  # noqa: F401
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.processes
def test_the_estimators_load_without_a_look_through_what_has_been_loaded() -> None:
    program = """
import gc
looks = []
gc.callbacks.append(lambda phase, info: looks.append(info["generation"]) if phase == "start" else None)
import longlag.loading
before = len(looks)
import longlag.estimators
print(len(looks) - before, gc.isenabled())
"""
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    looks, collecting = child.stdout.split()
    assert int(looks) <= 1  # as the block ends
    assert collecting == "True"
