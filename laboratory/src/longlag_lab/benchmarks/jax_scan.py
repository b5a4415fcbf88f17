"""The default cell as a scan in JAX, where that is installed."""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy
import torch
from torch import Tensor

from longlag_lab.benchmarks.problem import Answers, Problem

__all__ = ["JaxRunner", "Unavailable"]


class Unavailable(Exception):
    """An implementation that cannot run here; the message is for the report."""


def _load_jax(threads: int) -> Any:
    """Return JAX on ``threads`` threads. It reads their number once, when it starts."""
    variables = {"NPROC": str(threads), "PJRT_NPROC": str(threads), "JAX_PLATFORMS": "cpu"}
    if threads == 1:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        variables["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        jax = importlib.import_module("jax")
        jax.config.update("jax_enable_x64", True)
        jax.devices()  # starts it
    except ImportError as error:
        raise Unavailable("not installed") from error
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return jax


class JaxRunner:
    """The default cell as a scan, its forward and backward pass compiled together."""

    name = "JAX lax.scan"

    def __init__(self, problem: Problem, dtype: torch.dtype) -> None:
        self.case, self.threads = problem.case, problem.case.threads
        jax = _load_jax(self.threads)
        self._jax, np = jax, jax.numpy
        samples, hidden = self.case.samples, self.case.hidden

        def forward(weights: dict[str, Any], values: Any) -> Any:
            def step(state: tuple[Any, Any], from_input: Any) -> tuple[tuple[Any, Any], Any]:
                output, cells = state
                net = from_input + output @ weights["weight_hh_l0"].T
                entering, forgetting, added, leaving = np.split(net, 4, axis=-1)
                gate = jax.nn.sigmoid
                cells = gate(forgetting) * cells + gate(entering) * np.tanh(added)
                output = gate(leaving) * np.tanh(cells)
                return (output, cells), output

            bias = weights["bias_ih_l0"] + weights["bias_hh_l0"]
            start = np.zeros((samples, hidden), values.dtype)
            return jax.lax.scan(step, (start, start), values @ weights["weight_ih_l0"].T + bias)[1]

        def both(weights: dict[str, Any], values: Any, errors: Any) -> Any:
            outputs, backward = jax.vjp(forward, weights, values)
            return outputs, *backward(errors)

        def to_jax(tensor: Tensor) -> Any:
            return np.asarray(tensor.to(dtype).numpy())

        weights = {name: to_jax(weight) for name, weight in problem.weights.items()}
        self._arguments = weights, to_jax(problem.input), to_jax(problem.errors)
        self._both = jax.jit(both)

    def run(self) -> Any:
        """Compute the forward and backward pass, and return when they are complete."""
        return self._jax.block_until_ready(self._both(*self._arguments))

    def answers(self) -> Answers:
        output, weights, values = self.run()
        answers = {"output": output, "input": values, **weights}
        return {name: torch.from_numpy(numpy.array(value)) for name, value in answers.items()}
