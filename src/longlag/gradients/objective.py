"""NetworkObjective: a network, a loss and a gradient engine as one function of a flat parameter vector."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp

from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError
from longlag.gradients.backpropagation import Backpropagation
from longlag.gradients.engine import GradientEngine, paths_for, trainable
from longlag.gradients.jacobian import StoredJacobian, fits, stored_jacobian
from longlag.nn.curvature import Curvature, Linearisation, MatrixFreeCurvature
from longlag.nn.flat import assign, flattened, parts_of
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.ops.engine import CallOptions, ForwardCache, Recording
from longlag.ops.paths import FULL
from longlag.ops.select import kernels_run
from longlag.renamed import renamed_arguments

__all__ = ["NetworkObjective"]


class NetworkObjective:
    """The ``Objective`` of a network: see ``longlag.nn.Objective``. ``theta`` holds the trainable parameters in order.

    Parameters
    ----------
    network : Network
        Its parameters are set to the ``theta`` of the last call to ``value`` or ``value_and_gradient``.
    loss : Loss
    engine : GradientEngine, optional
        Default: backpropagation along the paths that the network's ``LSTM(gradient=...)`` names.
    """

    def __init__(self, network: Network, loss: Loss, engine: GradientEngine | None = None) -> None:
        self.network, self.loss = network, loss
        self.engine: GradientEngine = Backpropagation() if engine is None else engine

    @property
    def averages(self) -> bool:
        """Whether it is a mean over samples, and not their sum."""
        return self.loss.reduction != "sum"

    @property
    def draws(self) -> bool:
        """Whether units are dropped at random: then one point has many values."""
        return self.network.lstm.dropout > 0 and self.network.lstm.training

    @property
    def theta(self) -> Tensor:
        """A copy of the network's trainable parameters, (W,)."""
        return flattened([parameter.detach() for parameter in trainable(self.network)])

    def assign(self, theta: Tensor) -> None:
        """Set the network's trainable parameters to ``theta`` (W,)."""
        assign(trainable(self.network), theta)

    @renamed_arguments(samples="batch")
    def value(self, theta: Tensor, batch: SequenceBatch) -> float:
        """Return the loss at ``theta``."""
        self.assign(theta)
        with torch.no_grad():
            return float(self.loss(self.network.respond(batch)[0], batch))

    @renamed_arguments(samples="batch")
    def value_and_gradient(self, theta: Tensor, batch: SequenceBatch) -> tuple[float, Tensor]:
        """Return the loss at ``theta`` and the engine's gradient of it, (W,)."""
        self.assign(theta)
        value, gradient = self.engine.value_and_gradient(self.network, self.loss, batch)
        return float(value), flattened(gradient)

    @renamed_arguments(samples="batch")
    def curvature_product(self, theta: Tensor, v: Tensor, batch: SequenceBatch, *, structural: float = 0.0) -> Tensor:
        """Return the Gauss-Newton matrix ``J'HJ`` at ``theta`` times ``v``. J: outputs by weights; H: loss by outputs.

        Exact, along the full paths: forward mode for J v, reverse mode for J' H J v. On the CPU by the kernels,
        elsewhere by the reference engine.

        With ``structural``, mu, the matrix is that of the loss and of mu times a penalty on the change of the hidden
        states (Martens & Sutskever 2011, section 3.2): ``J' H J + mu J_h' D J_h``, of

            S(p) = sum over real steps, samples, layers and directions of  d_tb 1/2 |y_t(theta + p) - y_t(theta)|^2

        y_t is a layer's output (cells or their projection, and conventional units). d_tb is the weight the loss would
        give to an answer there: S is reduced as the loss is, over every real step whether it is asked for an answer
        or not. One forward and one backward pass serve both terms.

        Raises
        ------
        InputError
            If ``structural`` is negative or not finite.
        """
        _require_weight(structural)
        return self._product(theta, v, batch, structural, None)

    def _product(
        self, theta: Tensor, v: Tensor, batch: SequenceBatch, structural: float, cache: ForwardCache | None
    ) -> Tensor:
        self.assign(theta)
        weights = trainable(self.network)
        directions = {id(weight): part for weight, part in zip(weights, parts_of(v, weights), strict=True)}
        recording = Recording()
        engine = "native" if kernels_run(self.network.lstm.cell, batch.inputs) else "reference"
        options = CallOptions(engine=engine, forward_cache=cache, recording=recording)
        if cache is not None:
            cache.rewind()
        with forward_ad.dual_level(), torch.enable_grad():
            moving = {
                name: forward_ad.make_dual(weight, directions[id(weight)])
                for name, weight in self.network.named_parameters()
                if id(weight) in directions
            }
            answers, moved = forward_ad.unpack_dual(
                functional_call(_Respond(self.network), _within(moving), (batch, options))
            )
            hidden = [forward_ad.unpack_dual(outputs) for outputs in recording.layers] if structural else []

        def error(outputs: Tensor) -> Tensor:
            return self.loss(outputs, batch)

        # J v of everything that a term of the matrix measures, and what that term makes of it: H J v, or mu D J_h v.
        pulled = []
        if moved is not None:
            pulled.append((answers, jvp(grad(error), (answers.detach(),), (moved.detach(),))[1]))
        if hidden:
            share = structural * _step_weights(self.loss, batch)
            pulled += [(y, share[: len(y), :, None] * d_y.detach()) for y, d_y in hidden if d_y is not None]
        if not pulled:  # nothing that is trained reaches the answers, nor any hidden state
            return torch.zeros_like(theta)
        outputs, cotangents = zip(*pulled, strict=True)
        product = torch.autograd.grad(outputs, weights, cotangents, materialize_grads=True)
        return flattened(product)

    @renamed_arguments(samples="batch")
    def curvature(self, theta: Tensor, batch: SequenceBatch, *, structural: float = 0.0) -> Curvature:
        """Return the Gauss-Newton matrix at ``theta``: from a stored Jacobian where that fits, else by its products.

        With ``structural`` always by products: every step of every cell would have a row of its own to store. Products
        share one forward pass, whose tape is kept as long as the curvature is.
        """
        _require_weight(structural)
        self.assign(theta)
        if structural or not fits(self.network, batch):
            # The kernels' forward pass at one point and on some samples is computed but once; with dropout other units
            # are dropped each time.
            same = kernels_run(self.network.lstm.cell, batch.inputs) and not self.draws
            cache = ForwardCache() if same else None
            return MatrixFreeCurvature(theta, lambda v: self._product(theta, v, batch, structural, cache))
        return stored_jacobian(self.network, self.loss, batch)

    @renamed_arguments(samples="batch")
    def linearise(self, theta: Tensor, batch: SequenceBatch) -> Linearisation:
        """Value and gradient: both from a stored Jacobian, which comes along, where it fits and the engine is BPTT."""
        full = isinstance(self.engine, Backpropagation) and paths_for(self.network, self.engine.paths) == FULL
        if not (full and fits(self.network, batch)):
            return Linearisation(*self.value_and_gradient(theta, batch), None)
        jacobian = self.curvature(theta, batch)
        assert isinstance(jacobian, StoredJacobian)
        return Linearisation(jacobian.value, jacobian.gradient, jacobian)


def _require_weight(structural: float) -> None:
    if not 0.0 <= structural < math.inf:
        raise InputError(f"structural is {structural!r}; expected a finite number of at least 0")


def _step_weights(loss: Loss, batch: SequenceBatch) -> Tensor:
    """(T, B): the loss's weights as if every real step were asked for an answer; zero in the padding."""
    return loss.weights(dataclasses.replace(batch, target_mask=batch.step_mask))


def _within(moving: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"network.{name}": weight for name, weight in moving.items()}


class _Respond(torch.nn.Module):
    """Network.respond along the full paths as a module, which is what functional_call takes."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: SequenceBatch, options: CallOptions) -> Tensor:
        return self.network.respond(batch, paths=FULL, options=options)[0]
