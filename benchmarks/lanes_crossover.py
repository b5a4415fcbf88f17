"""Where vectors of samples overtake vectors of units: the measurement behind ops/crossover.py: choose_lanes.

Run: python benchmarks/lanes_crossover.py. Checks first that both give the same, then writes results/lanes_crossover.md:
time with units in lanes over time with samples in lanes, forward and backward, one thread; "!" where choose_lanes takes
the slower one.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch

from longlag import LSTM, CellSpec, _native
from longlag.ops import crossover

STEPS, INPUTS, REPEATS = 100, 4, 7
HIDDEN, SAMPLES = (2, 4, 8, 10, 16, 20, 24, 33), (1, 4, 8, 16, 32, 64, 256)


def seconds(lstm: LSTM, values: torch.Tensor, errors: torch.Tensor) -> float:
    for leaf in (values, *lstm.parameters()):
        leaf.grad = None
    began = time.perf_counter()
    lstm(values)[0].backward(errors)
    return time.perf_counter() - began


def cell(hidden: int, samples: int, dtype: torch.dtype) -> str:
    torch.manual_seed(0)
    values = torch.randn(STEPS, samples, INPUTS, dtype=dtype, requires_grad=True)
    errors = torch.randn(STEPS, samples, hidden, dtype=dtype)
    layers = {lanes: LSTM(INPUTS, hidden, dtype=dtype, backend=f"native-{lanes}") for lanes in ("units", "samples")}
    layers["samples"].load_state_dict(layers["units"].state_dict())
    outputs = [lstm(values)[0] for lstm in layers.values()]
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-12)
    best = dict.fromkeys(layers, float("inf"))
    for _ in range(REPEATS):
        for lanes, lstm in layers.items():
            best[lanes] = min(best[lanes], seconds(lstm, values, errors))
    chosen = crossover.choose_lanes(CellSpec(), INPUTS, hidden, samples, dtype == torch.float64)
    return f"{best['units'] / best['samples']:.2f}{'' if best[chosen] == min(best.values()) else ' !'}"


def main() -> None:
    torch.set_num_threads(1)
    lines = [
        "# Samples or units in the lanes",
        "",
        f"Time with units over time with samples, forward and backward, T={STEPS}, I={INPUTS}, one thread, fastest of "
        f'{REPEATS}; "!" where `choose_lanes` takes the slower. Written by benchmarks/lanes_crossover.py; '
        f"{_native.instruction_set()}, torch {torch.__version__}.",
    ]
    for dtype in (torch.float32, torch.float64):
        lines += ["", f"| {str(dtype).removeprefix('torch.')} | {' | '.join(f'B={b}' for b in SAMPLES)} |"]
        lines.append("| --- |" + " ---: |" * len(SAMPLES))
        for hidden in HIDDEN:
            lines.append(f"| H={hidden} | {' | '.join(cell(hidden, samples, dtype) for samples in SAMPLES)} |")
            print(lines[-1], flush=True)
    path = Path(__file__).resolve().parents[1] / "results" / "lanes_crossover.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
