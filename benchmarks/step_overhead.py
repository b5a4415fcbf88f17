"""What LSTM.step costs beside its kernel: microseconds per call, one sample, under torch.no_grad().

Run: python benchmarks/step_overhead.py. Writes results/step_overhead.json. Checks first that stepping through a
sequence gives what forward gives.
"""

from __future__ import annotations

import json
import statistics
import timeit
from collections.abc import Callable
from pathlib import Path

import torch

import longlag
from longlag import _native
from longlag.io.environment import environment
from longlag.ops import native
from longlag.ops.paths import FULL

CALLS, REPEATS = 5000, 15
SIZES = ((2, 4), (64, 64), (256, 256))


def microseconds(call: Callable[[], object]) -> list[float]:
    """Of one call, repeat by repeat."""
    return [1e6 * seconds / CALLS for seconds in timeit.repeat(call, number=CALLS, repeat=REPEATS)]


def kernel(lstm: longlag.LSTM, x: torch.Tensor, state: tuple[torch.Tensor, ...]) -> Callable[[], object]:
    """The compiled function alone, all addresses at hand: what is not overhead."""
    compiled = native.kernel(lstm.cell, FULL, lstm.input_size, lstm.hidden_size, 0)
    weights = (lstm.weight_ih_l0.data_ptr(), lstm.weight_hh_l0.data_ptr(), lstm.bias_ih_l0.data_ptr(), 0, 0)
    places = (state[0].data_ptr(), state[1].data_ptr(), 0)
    at, second = x.data_ptr(), lstm.bias_hh_l0.data_ptr()
    return lambda: compiled.step32(1, at, weights, second, places, places)


def measure(inputs: int, hidden: int) -> dict[str, float]:
    """Medians of interleaved repeats."""
    torch.manual_seed(0)
    lstm, cell = longlag.LSTM(inputs, hidden), torch.nn.LSTMCell(inputs, hidden)
    sequence = torch.randn(20, 1, inputs)
    state = lstm.initial_state(1)
    outputs = []
    for x in sequence:
        output, state = lstm.step(x, state)
        outputs.append(output)
    assert torch.allclose(torch.stack(outputs), lstm(sequence)[0], atol=1e-6)

    x, kept, own = sequence[0], lstm.initial_state(1), lstm.initial_state(1)
    pair = (torch.zeros(1, hidden), torch.zeros(1, hidden))
    latest, under_kernel = [lstm.step(x, kept)[1]], lstm.initial_state(1)

    def functional() -> None:
        latest[0] = lstm.step(x, latest[0])[1]

    calls = {
        "step": functional,
        "step in place": lambda: lstm.step(x, own, inplace=True),
        "kernel": kernel(lstm, x, under_kernel),
        "nn.LSTMCell": lambda: cell(x, pair),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(3):
        for name, call in calls.items():
            times[name] += microseconds(call)
    found = {name: statistics.median(some) for name, some in times.items()}
    for name in ("step", "step in place"):
        found[f"overhead of {name}"] = found[name] - found["kernel"]
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    torch.set_num_threads(1)
    with torch.no_grad():
        found = {f"I{inputs} H{hidden} float32": measure(inputs, hidden) for inputs, hidden in SIZES}
    for size, times in found.items():
        print(size, ", ".join(f"{name} {value} us" for name, value in times.items()))
    document = {"microseconds": found, "instruction_set": _native.instruction_set(), "environment": environment()}
    path = Path(__file__).parent.parent / "results" / "step_overhead.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
