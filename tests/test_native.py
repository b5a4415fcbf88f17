"""The compiled module, as far as it can be judged without the kernels in it."""

from __future__ import annotations

import platform
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from longlag.ops.select import native_status


def test_a_machine_with_a_compiler_has_the_compiled_module() -> None:
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler here, so the package is pure Python")
    assert find_spec("longlag._native") is not None


@pytest.mark.skipif(find_spec("longlag._native") is None, reason="the compiled module was not built")
def test_instruction_sets_are_those_the_kernel_reports() -> None:
    from longlag._native import instruction_sets

    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64":
        assert instruction_sets() == ["baseline"]
    elif cpuinfo.exists():
        flags = set(cpuinfo.read_text().partition("flags")[2].partition("\n")[0].split())
        wanted = {
            "baseline": set(),
            "avx2": {"avx2", "fma"},
            "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
        }
        assert instruction_sets() == [name for name, needed in wanted.items() if needed <= flags]
    else:
        assert instruction_sets()[0] == "baseline"


def test_without_the_compiled_module_the_status_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "longlag._native", None)  # what Python takes for "there is none"
    assert "install a C++17 compiler" in native_status()


@pytest.mark.skipif(find_spec("longlag._native") is None, reason="the compiled module was not built")
def test_with_the_compiled_module_the_status_names_the_instruction_sets() -> None:
    assert native_status().startswith("built; instruction sets: baseline")
