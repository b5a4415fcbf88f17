"""PyTorch closures as functions of one flat vector, with curvature from the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from longlag.errors import InputError
from longlag.nn.curvature import Curvature, dense_by_products
from longlag.nn.flat import assign, flattened

__all__ = ["GraphCurvature", "LossFunction", "OutputsFunction", "Parameters"]


class Parameters:
    """Tensors as one flat vector, in order.

    Raises
    ------
    InputError
        If they are of several dtypes or devices, or of a dtype other than float32 and float64.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)
        kinds = {(tensor.dtype, tensor.device) for tensor in self.tensors}
        if len(kinds) != 1 or self.tensors[0].dtype not in (torch.float32, torch.float64):
            several = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
            raise InputError(f"the parameters are {several}; expected all float32, or all float64, on one device")

    def flat(self) -> Tensor:
        """Return the parameters as a new vector (W,)."""
        return flattened([tensor.detach() for tensor in self.tensors])

    def assign(self, theta: Tensor) -> None:
        """Set the parameters to ``theta`` (W,)."""
        assign(self.tensors, theta)

    def gradient(self) -> Tensor:
        """Return the parameters' ``.grad`` as a new vector (W,); zero where there is none."""
        parts = [torch.zeros_like(t) if t.grad is None else t.grad.detach() for t in self.tensors]
        return flattened([part.to_dense() if part.is_sparse else part for part in parts])

    def pull(self, outputs: Tensor, error: Tensor | None, *, create_graph: bool = False, retain: bool = True) -> Tensor:
        """Return the product J' error, (W,), with J the derivative of ``outputs`` by the parameters."""
        parts = torch.autograd.grad(
            outputs,
            self.tensors,
            error,
            create_graph=create_graph,
            retain_graph=retain,
            allow_unused=True,
            materialize_grads=True,
        )
        return flattened(parts)


class LossFunction:
    """A closure as ``torch.optim.LBFGS`` takes it: it clears the gradients, computes the loss, calls backward."""

    def __init__(self, parameters: Parameters, closure: Callable[[], Tensor | float]) -> None:
        self.parameters, self.closure = parameters, closure
        self.first: Tensor | float | None = None

    def value(self, theta: Tensor) -> float:
        """Return the loss at ``theta``."""
        return self.value_and_gradient(theta)[0]

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """Return the loss at ``theta``, and the gradient that the closure's backward left."""
        self.parameters.assign(theta)
        with torch.enable_grad():
            loss = self.closure()
        loss = loss.detach() if isinstance(loss, Tensor) else loss
        self.first = loss if self.first is None else self.first
        return float(loss), self.parameters.gradient()

    def curvature(self, theta: Tensor) -> Curvature:
        """Raise InputError: a loss alone has no Gauss-Newton matrix."""
        raise InputError("this closure returns the loss alone; expected (loss, outputs) where curvature is asked for")


class OutputsFunction:
    """A closure that returns ``(loss, outputs)`` with the graph attached and calls no backward.

    ``loss`` must be computed from the tensor ``outputs`` itself. What else of the parameters is in the loss, such as a
    penalty on weights, counts in the gradient and not in the curvature.
    """

    def __init__(self, parameters: Parameters, closure: Callable[[], tuple[Tensor, Tensor]]) -> None:
        self.parameters, self.closure = parameters, closure
        self.first: Tensor | float | None = None

    def value(self, theta: Tensor) -> float:
        """Return the loss at ``theta``, without a graph."""
        self.parameters.assign(theta)
        with torch.no_grad():
            return float(self._call()[0])

    def value_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """Return the loss at ``theta`` and its gradient."""
        self.parameters.assign(theta)
        with torch.enable_grad():
            loss, _ = self._call()
            gradient = self.parameters.pull(loss, None, retain=False)
        self.first = loss.detach() if self.first is None else self.first
        return float(loss.detach()), gradient

    def curvature(self, theta: Tensor) -> Curvature:
        """Return the Gauss-Newton matrix at ``theta``, by one pass forward and one back; see ``GraphCurvature``."""
        self.parameters.assign(theta)
        with torch.enable_grad():
            return GraphCurvature(self.parameters, *self._call())

    def _call(self) -> tuple[Tensor, Tensor]:
        pair = self.closure()
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise InputError(f"the closure returned {type(pair).__name__}; expected (loss, outputs)")
        return pair


class GraphCurvature:
    """The matrix J'HJ from a graph; J: outputs by parameters, H: loss by outputs. It differentiates a backward pass.

    J'u is linear in u, so its derivative by u is J: one backward pass through it gives J v (the trick of two
    backward passes in place of forward mode). cuDNN's recurrent layers have no such pass: switch cuDNN off for them.
    """

    is_stored = False

    def __init__(self, parameters: Parameters, loss: Tensor, outputs: Tensor) -> None:
        self.parameters, self.outputs = parameters, outputs
        (slope,) = torch.autograd.grad(loss, outputs, create_graph=True, allow_unused=True)
        if slope is None:
            raise InputError("the closure's loss is not computed from its outputs; expected the very tensor it is")
        self.slope = slope
        self.u = torch.zeros_like(outputs, requires_grad=True)
        self.pulled = parameters.pull(outputs, self.u, create_graph=True)

    def __matmul__(self, v: Tensor) -> Tensor:
        """J'(H(J v))."""
        moved = _derivative(self.pulled, self.u, v)
        return self.parameters.pull(self.outputs, _derivative(self.slope, self.outputs, moved))

    def diagonal(self) -> Tensor | None:
        """Return None, because it would cost as much as the Jacobian."""
        return None

    def dense(self) -> Tensor:
        """Return the matrix (W, W), by W products."""
        return dense_by_products(self, self.pulled.detach())


def _derivative(of: Tensor, by: Tensor, weights: Tensor) -> Tensor:
    """Return the derivative of of'weights by ``by``; 0 where ``of`` is a constant, as the slope of a linear loss is."""
    if not of.requires_grad:
        return torch.zeros_like(by)
    (derivative,) = torch.autograd.grad(of, by, weights, retain_graph=True, allow_unused=True, materialize_grads=True)
    return derivative
