"""How much of a call of LSTM.step is not its kernel? Microseconds per call, one sample, without gradients.

``python -m longlag_lab.questions.step_overhead`` writes results/step_overhead.json, once stepping through a sequence is
seen to give what ``forward`` gives.
"""

from __future__ import annotations

import functools
import timeit
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from longlag import LSTM, _native
from longlag.errors import LonglagError
from longlag.io.environment import environment
from longlag.io.json import JSON, write_json
from longlag.ops import native
from longlag.ops.paths import FULL
from longlag_lab.harness.report import prepare_folder
from longlag_lab.harness.timer import Effort, interleaved, torch_threads

__all__ = ["main"]

CALLS, REPEATS = 5000, 45
SIZES = ((2, 4), (64, 64), (256, 256))


def _kernel(lstm: LSTM, x: torch.Tensor, state: tuple[torch.Tensor, ...]) -> Callable[[], object]:
    """Return a call of the compiled function alone, with all addresses at hand."""
    compiled = native.kernel(lstm.cell, FULL, lstm.input_size, lstm.hidden_size, 0)
    parameters = dict(lstm.named_parameters())
    weights = (*(parameters[f"{name}_l0"].data_ptr() for name in ("weight_ih", "weight_hh", "bias_ih")), 0, 0)
    places = (state[0].data_ptr(), state[1].data_ptr(), 0)
    at, second = x.data_ptr(), parameters["bias_hh_l0"].data_ptr()
    return lambda: compiled.step32(1, at, weights, second, places, places)


def _check(lstm: LSTM, sequence: torch.Tensor) -> None:
    state = lstm.initial_state(1)
    outputs = []
    for x in sequence:
        output, state = lstm.step(x, state)
        outputs.append(output)
    if not torch.allclose(torch.stack(outputs), lstm(sequence)[0], atol=1e-6):
        raise LonglagError("stepping through a sequence gives other outputs than forward; nothing was timed")


def measure(inputs: int, hidden: int) -> dict[str, float]:
    """Return the median microseconds of each kind of call."""
    torch.manual_seed(0)
    lstm, cell = LSTM(inputs, hidden), torch.nn.LSTMCell(inputs, hidden)
    sequence = torch.randn(20, 1, inputs)
    _check(lstm, sequence)
    x, zeros = sequence[0], (torch.zeros(1, hidden), torch.zeros(1, hidden))
    in_place, of_kernel = lstm.initial_state(1), lstm.initial_state(1)
    latest = [lstm.initial_state(1)]

    def step() -> None:
        latest[0] = lstm.step(x, latest[0])[1]

    calls: dict[str, Callable[[], object]] = {
        "step": step,
        "step in place": lambda: lstm.step(x, in_place, inplace=True),
        "kernel": _kernel(lstm, x, of_kernel),
        "nn.LSTMCell": lambda: cell(x, zeros),
    }
    repeats = [functools.partial(timeit.timeit, call, number=CALLS) for call in calls.values()]
    seconds = interleaved(repeats, Effort(least=REPEATS, most=REPEATS))
    microseconds = {name: 1e6 * median(times) / CALLS for name, times in zip(calls, seconds, strict=True)}
    for name in ("step", "step in place"):
        microseconds[f"overhead of {name}"] = microseconds[name] - microseconds["kernel"]
    return {name: round(value, 2) for name, value in microseconds.items()}


def main() -> None:
    """Measure every size, and write the file."""
    with torch_threads(1), torch.no_grad():
        microseconds: dict[str, JSON] = {
            f"I{inputs} H{hidden} float32": {**measure(inputs, hidden)} for inputs, hidden in SIZES
        }
    for size, times in microseconds.items():
        print(size, times)
    path = Path("results", "step_overhead.json")
    prepare_folder(path.parent)
    instruction_set = _native.instruction_set()
    write_json(path, {"microseconds": microseconds, "instruction_set": instruction_set, "environment": environment()})
    print(f"written to {path}")


if __name__ == "__main__":
    main()
