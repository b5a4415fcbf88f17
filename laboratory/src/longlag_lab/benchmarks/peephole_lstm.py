"""LSTM with peepholes as a PyTorch user writes it by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from longlag_lab.benchmarks.problem import Problem

__all__ = ["PeepholeLSTM", "peephole_module"]


class PeepholeLSTM(nn.Module):
    """A careful implementation, since torch.nn.LSTM has no peepholes.

    One product computes the input's share of all net inputs. ``unbind`` replaces an index for each step, whose gradient
    would fill the whole tensor.
    """

    def __init__(self, inputs: int, hidden: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden, inputs, dtype=dtype))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden, hidden, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(4 * hidden, dtype=dtype))
        self.peephole = nn.Parameter(torch.empty(3, hidden, dtype=dtype))

    def step(self, from_input: Tensor, output: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Compute one step from the input's share of its net inputs."""
        net = torch.addmm(from_input, output, self.weight_hh.t())
        entering, forgetting, added, leaving = net.chunk(4, dim=1)
        entering = torch.sigmoid(entering + self.peephole[0] * cells)
        forgetting = torch.sigmoid(forgetting + self.peephole[1] * cells)
        cells = forgetting * cells + entering * torch.tanh(added)
        leaving = torch.sigmoid(leaving + self.peephole[2] * cells)
        return leaving * torch.tanh(cells), cells

    def forward(self, values: Tensor) -> Tensor:
        steps, samples, _ = values.shape
        from_inputs = torch.addmm(self.bias, values.flatten(0, 1), self.weight_ih.t()).view(steps, samples, -1)
        output = cells = values.new_zeros(samples, self.weight_hh.shape[1])
        outputs = []
        for from_input in from_inputs.unbind(0):
            output, cells = self.step(from_input, output, cells)
            outputs.append(output)
        return torch.stack(outputs)


def peephole_module(
    problem: Problem, dtype: torch.dtype, device: str = "cpu", *, compiled: bool
) -> tuple[PeepholeLSTM, dict[str, Tensor]]:
    """Return the hand-written cell with the problem's weights, and its parameters by our names."""
    case, weights = problem.case, problem.weights
    module = PeepholeLSTM(case.inputs, case.hidden, dtype)
    bias = weights["bias_ih_l0"].double() + weights["bias_hh_l0"].double()
    module.load_state_dict(
        {
            "weight_ih": weights["weight_ih_l0"],
            "weight_hh": weights["weight_hh_l0"],
            "bias": bias,
            "peephole": weights["weight_peephole_l0"],
        }
    )
    module.to(device)
    if compiled:  # a step, not the loop: PyTorch unrolls loops, and compiles for minutes
        torch.compiler.reset()  # what it saw of other shapes would make it compile for any shape
        module.step = torch.compile(module.step, dynamic=False)  # type: ignore[method-assign]
    return module, {
        "weight_ih_l0": module.weight_ih,
        "weight_hh_l0": module.weight_hh,
        "bias_ih_l0": module.bias,
        "bias_hh_l0": module.bias,
        "weight_peephole_l0": module.peephole,
    }
