"""Implementations as the benchmark runs them: what is timed, and the answers that are compared first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from longlag_lab.benchmarks.cases import Case
from longlag_lab.benchmarks.problem import Answers, Problem

__all__ = ["Runner", "StreamRunner", "TorchRunner"]


class Runner(Protocol):
    """An implementation with the numbers of a problem."""

    name: str
    threads: int
    case: Case

    @property
    def run(self) -> Callable[[], object]:
        """What is timed: a function without arguments, called without gradients unless the case is training."""
        ...

    def answers(self) -> Answers:
        """Run once, and return what was computed."""
        ...


class TorchRunner:
    """A function of the input that PyTorch differentiates. ``leaves`` are its parameters, by our names."""

    def __init__(
        self,
        name: str,
        problem: Problem,
        dtype: torch.dtype,
        threads: int,
        forward: Callable[[Tensor], Tensor],
        leaves: Mapping[str, Tensor],
    ) -> None:
        self.name, self.case, self.threads = name, problem.case, threads
        self._forward, self._leaves = forward, dict(leaves)
        self._trains = problem.case.work == "training"
        self._input = problem.input.to(dtype, copy=True)
        self._errors = problem.errors.to(dtype)
        if self._trains:
            self._input.requires_grad_()
            self._leaves["input"] = self._input
        self._cleared = list(self._leaves.values())
        self.run: Callable[[], Tensor] = self._train if self._trains else partial(forward, self._input)

    def _train(self) -> Tensor:
        for leaf in self._cleared:
            leaf.grad = None
        output = self._forward(self._input)
        output.backward(self._errors)
        return output

    def answers(self) -> Answers:
        with torch.set_grad_enabled(self._trains):
            answers = {"output": self.run().detach()}
        if self._trains:
            answers |= {name: leaf.grad for name, leaf in self._leaves.items() if leaf.grad is not None}
        return answers


class StreamRunner:
    """A function that takes one step after the other, without gradients."""

    def __init__(
        self,
        name: str,
        problem: Problem,
        dtype: torch.dtype,
        threads: int,
        step: Callable[[Tensor, Any], tuple[Tensor, Any]],
        start: Any,
    ) -> None:
        self.name, self.case, self.threads = name, problem.case, threads
        self.run: Callable[[], list[Tensor]] = partial(_stream, step, start, list(problem.input.to(dtype)))

    def answers(self) -> Answers:
        with torch.no_grad():
            return {"output": torch.stack(self.run())}


def _stream(step: Callable[[Tensor, Any], tuple[Tensor, Any]], start: Any, steps: Iterable[Tensor]) -> list[Tensor]:
    """Return the outputs of one step after the other."""
    state, outputs = start, []
    for values in steps:
        output, state = step(values, state)
        outputs.append(output)
    return outputs
