"""What Triton makes of the GPU kernels without a GPU: it compiles for one all the same, and launches nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("triton", minversion="3.4")

pytestmark = pytest.mark.processes

# A child: Triton is either interpreted or not, and in this process it may be.
PROGRAM = """
import json, sys
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver


class Absent:
    def get_current_target(self):
        return GPUTarget("cuda", CAPABILITY, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device=None):
        return 0


driver.set_active(Absent())
CAPABILITY, SHARED = map(int, sys.argv[1:3])
from longlag import CellSpec
from longlag.ops.layer import State, Weights
from longlag.ops.paths import FULL
from longlag.ops.triton import backward_pass, forward_pass, launch, launch_config

CHIP = launch_config.Chip(SHARED, CAPABILITY >= 80)
launch.chip_of = lambda device: CHIP

made = []


class Compiling:
    def __init__(self, kernel):
        self.kernel = kernel

    def __getitem__(self, grid):
        def launch(*given, **constants):
            made.append(self.kernel.warmup(*given, grid=grid, **constants))
        return launch


forward_pass.forward_kernel = Compiling(forward_pass.forward_kernel)
backward_pass.backward_kernel = Compiling(backward_pass.backward_kernel)


def train(spec, hidden, dtype, *, steps=3, samples=2, ragged=False, resident=True, offset=0):
    def some(*shape):
        return torch.zeros(offset + torch.Size(shape).numel(), dtype=dtype)[offset:].view(shape)

    width, gates = spec.output_size(hidden), spec.gate_size(hidden) if spec.gate_recurrence else 0
    weights = Weights(
        some(spec.row_count(hidden), 2), some(spec.row_count(hidden), spec.source_size(hidden)),
        some(spec.row_count(hidden)), some(len(spec.gates), hidden) if spec.peepholes else None)
    state = State(some(samples, width), some(samples, hidden), some(samples, gates))
    inputs, lengths = some(steps, samples, 2), torch.full((samples,), steps) if ragged else None
    plan = launch.Plan(spec, FULL, resident)
    outputs, final, tape = forward_pass.forward(plan, True, inputs, state, weights, lengths)
    backward_pass.backward(plan, inputs, state, weights, lengths, tape, (some(*outputs.shape), *final))


"""

SIZES = """
import pathlib, subprocess, tempfile, triton

CASES = json.loads(sys.argv[3])
TOOL = pathlib.Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
found = []


def spilled(kernel):
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        said = subprocess.run([TOOL, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True)
    return int(said.stdout.split("STACK:")[1].split()[0])


for hidden, name, precision, cell in CASES:
    torch.set_float32_matmul_precision(precision)
    made.clear()
    spec, dtype = CellSpec(**cell), getattr(torch, name)
    train(spec, hidden, dtype, resident=launch_config.fits_on_one_sm(spec, hidden, dtype, 0, CHIP))
    found.append([(kernel.metadata.shared, spilled(kernel)) for kernel in made])
print(json.dumps(found))
"""

TWICE = """
for resident in (True, False):
    train(CellSpec.batch2013(), 6, torch.float32, resident=resident)
kernels = (forward_pass.forward_kernel.kernel, backward_pass.backward_kernel.kernel)
before = [len(kernel.device_caches[0][0]) for kernel in kernels]
for resident in (True, False):
    for steps, samples, ragged, offset in ((1, 1, False, 0), (16, 16, True, 0), (7, 33, True, 1), (5, 3, False, 3)):
        train(
            CellSpec.batch2013(), 6, torch.float32, steps=steps, samples=samples, ragged=ragged, resident=resident,
            offset=offset)
after = [len(kernel.device_caches[0][0]) for kernel in kernels]
print(json.dumps([before, after]))
"""


def child(program: str, *arguments: str) -> list[list[Any]]:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM + program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


RICH = {"cells_per_block": 2, "peepholes": True, "gate_recurrence": True, "conventional_units": 2, "sharpness": 3.75}
LARGEST = [(128, "float32", "highest", {}), (128, "bfloat16", "highest", {"peepholes": True})]
MORE = [
    (16, "float64", "highest", {}),
    (64, "float32", "highest", {}),
    (64, "float32", "highest", {"peepholes": True}),
    (64, "float32", "medium", {}),
    (64, "float32", "high", {}),
    (128, "float16", "highest", {}),
    (64, "float64", "highest", {}),
    (32, "float32", "highest", RICH),
    (32, "bfloat16", "highest", RICH),
]
T4, A100, RTX, H100 = (75, 65_536), (80, 166_912), (89, 101_376), (90, 232_448)
"""Compute capability, and bytes of shared memory of a program."""
SPILLED = 1024
"""Bytes that a thread may keep outside of its registers: 128 float32 cells fill them, and a step has values of its own,
in Triton 3.9 176 to 264 bytes, in 3.6 up to 944. Tiles that do not suit a layer take several times that."""


def assert_to_fit(device: tuple[int, int], cases: list[object]) -> None:
    capability, shared = device
    for case, needed in zip(cases, child(SIZES, str(capability), str(shared), json.dumps(cases)), strict=True):
        for memory, spilled in needed:
            assert memory <= shared, case
            assert spilled <= SPILLED, case


def test_the_largest_layers_that_stay_on_an_sm_have_the_memory_and_registers_they_need_there() -> None:
    assert_to_fit(H100, LARGEST)


@pytest.mark.slow
@pytest.mark.parametrize("device", [T4, A100, RTX, H100], ids=["T4", "A100", "RTX 40", "H100"])
def test_other_layers_and_other_devices_have_the_memory_and_registers_they_need(device: tuple[int, int]) -> None:
    assert_to_fit(device, LARGEST + MORE)


def test_other_numbers_of_steps_and_samples_lengths_and_addresses_compile_nothing_anew() -> None:
    before, after = child(TWICE, *map(str, H100))
    assert before == [2, 2]  # all steps in one launch, and one step
    assert after == before
