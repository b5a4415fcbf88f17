"""The modules under torch's DistributedDataParallel: two processes over gloo learn what one learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

# Loaded before the forks, which then need not.
import torch.distributed
from torch.nn.parallel import DistributedDataParallel  # noqa: F401

from forked import Program

PROGRAM = """
import sys, warnings, torch, torch.distributed as dist
from longlag import LSTM, CellSpec
from torch.nn.parallel import DistributedDataParallel
rank, world, store, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
torch.set_num_threads(1)
warnings.simplefilter("ignore")

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = LSTM(3, 4, num_layers=2, bidirectional=True, cell=CellSpec(peepholes=True), dtype=torch.float64)
        self.readout = torch.nn.Linear(8, 1, dtype=torch.float64)

    def forward(self, inputs, lengths):
        return self.readout(self.lstm(inputs, lengths=lengths)[0])[0]

torch.manual_seed(0)
model = Model()
if world > 1:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    model = DistributedDataParallel(model)
inputs, targets = torch.randn(7, 8, 3, dtype=torch.float64), torch.randn(8, 1, dtype=torch.float64)
lengths = torch.tensor([7, 3, 1, 5, 7, 2, 6, 4])
mine = slice(rank * 8 // world, (rank + 1) * 8 // world)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for _ in range(5):
    optimizer.zero_grad()
    (model(inputs[:, mine], lengths[mine]) - targets[mine]).square().mean().backward()
    optimizer.step()
torch.save([parameter.detach() for parameter in model.parameters()], f"{out}/{world}-{rank}.pt")
if world > 1:
    dist.destroy_process_group()
"""


@pytest.mark.processes
def test_two_processes_under_data_parallel_learn_what_one_learns(tmp_path: Path) -> None:
    def start(rank: int, world: int) -> Program:
        return Program(PROGRAM, [str(rank), str(world), str(tmp_path / "store"), str(tmp_path)])

    for process in [start(0, 1), start(0, 2), start(1, 2)]:
        ended = process.ended()
        assert ended.returncode == 0, ended.stderr
    one, first, second = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("1-0", "2-0", "2-1"))
    for alone, left, right in zip(one, first, second, strict=True):
        assert torch.equal(left, right)
        torch.testing.assert_close(left, alone, rtol=1e-12, atol=1e-14)
