"""A program that torch.export wrote runs in a fresh process that has imported nothing but longlag."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import torch

from longlag import CellSpec
from nn.layers import layer

pytestmark = [
    pytest.mark.processes,
    # torch's own, while it writes a program
    pytest.mark.filterwarnings(r"ignore:`torch.jit.\w+` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]

PROGRAM = """
import sys, longlag, torch
for path in sys.argv[2:]:
    values, expected = torch.load(path + ".tensors")
    run = torch.export.load(path).module() if sys.argv[1] == "export" else torch._inductor.aoti_load_package(path)
    outputs = run(values)[0]
    print(torch.allclose(outputs.double(), expected.double(), rtol=0, atol=1e-6))
"""


def answers(kind: str, paths: list[str]) -> str:
    child = subprocess.run([sys.executable, "-c", PROGRAM, kind, *paths], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    return child.stdout


def exported(path: str, dtype: torch.dtype) -> torch.export.ExportedProgram:
    lstm, values = layer(CellSpec(peepholes=True), dtype=dtype), torch.randn(4, 2, 3).to(dtype)
    with torch.no_grad():
        torch.save((values, lstm(values)[0]), f"{path}.tensors")
        return torch.export.export(lstm, (values,))


def test_a_saved_program_is_loaded_and_run_with_longlag_alone(tmp_path) -> None:
    paths = []
    for dtype in (torch.float32, torch.bfloat16):  # longlag::layer and longlag::any_layer
        paths.append(str(tmp_path / f"{dtype}.pt2"))
        torch.export.save(exported(paths[-1], dtype), paths[-1])
    assert answers("export", paths) == "True\n" * 2


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="AOTInductor needs a C++ compiler")
def test_a_package_of_aot_inductor_is_loaded_and_run_with_longlag_alone(tmp_path) -> None:
    path = str(tmp_path / "layer.pt2")
    program = exported(path, torch.float32)
    torch._inductor.aoti_compile_and_package(program, package_path=path)
    assert answers("inductor", [path]) == "True\n"
