"""What the tests share: small networks, ragged samples, an objective that is all rounding."""

import os
import time
from pathlib import Path

import torch

from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.gradients import NetworkObjective
from longlag.nn import MeanSquaredError


class Rounding:
    """A mean whose bits depend on the order of its sums, and on nothing that takes time."""

    averages = True

    def value(self, theta, samples):
        return float((samples.inputs[0] * theta[0]).mean())

    def value_and_gradient(self, theta, samples):
        return self.value(theta, samples), samples.inputs[0].mean(0) * theta

    def curvature_product(self, theta, v, samples):
        return samples.inputs[0].square().mean(0) * v


class Slow(Rounding):
    """Takes 2 ms."""

    def value_and_gradient(self, theta, samples):
        time.sleep(0.002)
        return super().value_and_gradient(theta, samples)


class Waits(Rounding):
    """Writes its process number to the file ``began``, and computes when there is a file ``go``."""

    def __init__(self, folder):
        self.began, self.go = Path(folder, "began"), Path(folder, "go")

    def value(self, theta, samples):
        written = self.began.with_suffix(f".{os.getpid()}")
        written.write_text(str(os.getpid()))
        written.replace(self.began)
        while not self.go.exists():
            time.sleep(0.01)
        return super().value(theta, samples)


def numbers(count, size=3, *, seed=0, dtype=torch.float32):
    """``count`` sequences of one step, of ``size`` numbers of very different magnitude."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(1, count, size, generator=generator, dtype=dtype)
    inputs = inputs * 10.0 ** torch.randint(-3, 4, (1, count, 1), generator=generator).to(dtype)
    mask = torch.ones(1, count, dtype=torch.bool)
    return SequenceBatch(inputs, torch.ones(count, dtype=torch.int64), torch.zeros(1, count, 1, dtype=dtype), mask)


def ragged(count, *, features=3, targets=2, longest=9, seed=0, dtype=torch.float64):
    """Sequences of 1 to ``longest`` steps with one answer each."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    sequences = [torch.randn(length, features, generator=generator, dtype=dtype) for length in lengths]
    return SequenceBatch.last_step(sequences, torch.randn(count, targets, generator=generator, dtype=dtype))


def network_objective(*, hidden=4, loss=None, engine=None, cell=None, seed=0, dtype=torch.float64, **options):
    """A small network and its loss."""
    torch.manual_seed(seed)
    lstm = LSTM(3, hidden, cell=cell or CellSpec(peepholes=True), dtype=dtype, **options)
    network = Network(lstm, 2).to(dtype)
    return NetworkObjective(network, loss or MeanSquaredError(), engine)
