"""From which sizes on are vectors of samples faster than vectors of units? ``ops/crossover.py`` holds the answer.

``python -m longlag_lab.questions.lanes_crossover`` checks that both give the same, and writes
results/lanes_crossover.md: time with units in lanes over time with samples in lanes, forward and backward, one thread.
A "!" marks where ``choose_lanes`` takes the slower one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from longlag import LSTM, CellSpec, _native
from longlag.io.files import write_text
from longlag.ops import crossover
from longlag_lab.harness.report import markdown_table, prepare_folder
from longlag_lab.harness.timer import Effort, interleaved, seconds_of, torch_threads

__all__ = ["main"]

STEPS, INPUTS, REPEATS = 100, 4, 7
HIDDEN, SAMPLES = (2, 4, 8, 10, 16, 20, 24, 33), (1, 4, 8, 16, 32, 64, 256)
LANES = ("units", "samples")


def ratio(hidden: int, samples: int, dtype: torch.dtype) -> str:
    """Return the ratio for one size, with its mark."""
    torch.manual_seed(0)
    values = torch.randn(STEPS, samples, INPUTS, dtype=dtype, requires_grad=True)
    errors = torch.randn(STEPS, samples, hidden, dtype=dtype)
    layers = [LSTM(INPUTS, hidden, dtype=dtype, backend=f"native-{lanes}") for lanes in LANES]
    layers[1].load_state_dict(layers[0].state_dict())
    torch.testing.assert_close(
        *(lstm(values)[0] for lstm in layers), rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-12
    )
    calls = [seconds_of(_training_step(lstm, values, errors)) for lstm in layers]
    units, in_samples = (min(seconds) for seconds in interleaved(calls, Effort(least=REPEATS, most=REPEATS)))
    chosen = crossover.choose_lanes(CellSpec(), INPUTS, hidden, samples, dtype == torch.float64)
    slower = (chosen == "units") != (units <= in_samples)
    return f"{units / in_samples:.2f}{' !' if slower else ''}"


def _training_step(lstm: LSTM, values: torch.Tensor, errors: torch.Tensor) -> Callable[[], None]:
    leaves = (values, *lstm.parameters())

    def step() -> None:
        for leaf in leaves:
            leaf.grad = None
        lstm(values)[0].backward(errors)

    return step


def main() -> None:
    """Measure every size, and write the file."""
    lines = [
        "# Samples or units in the lanes",
        "",
        f"Time with units over time with samples, forward and backward, T={STEPS}, I={INPUTS}, one thread, fastest of "
        f'{REPEATS}; "!" where `choose_lanes` takes the slower. Written by '
        f"`python -m longlag_lab.questions.lanes_crossover`; {_native.instruction_set()}, torch {torch.__version__}.",
    ]
    with torch_threads(1):
        for dtype in (torch.float32, torch.float64):
            columns = [str(dtype).removeprefix("torch."), *(f"B={samples}" for samples in SAMPLES)]
            rows = []
            for hidden in HIDDEN:
                rows.append([f"H={hidden}", *(ratio(hidden, samples, dtype) for samples in SAMPLES)])
                print(*rows[-1], flush=True)
            lines += ["", *markdown_table(columns, rows, numbers=True)]
    path = Path("results", "lanes_crossover.md")
    prepare_folder(path.parent)
    write_text(path, "\n".join(lines) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
