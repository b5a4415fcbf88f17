"""Updates by the batch methods of ``longlag.optim``: some iterations on each batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.distributed import Executor, MapReduceObjective
from longlag.errors import CheckpointError, DivergenceError, InputError
from longlag.gradients import NetworkObjective
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.optim import BoundObjective, Function, Method, SeparateCurvature
from longlag.optim.counting import CountingFunction, EvaluationCounter
from longlag.optim.minimise import Loop, State
from longlag.optim.result import Stop
from longlag.optim.vectors import dot
from longlag.optimizers import listed, names
from longlag.training.config import TrainingConfig
from longlag.training.schedules import Schedule
from longlag.training.torch_optimizers import diverged

__all__ = ["SecondOrderStep"]


class SecondOrderStep:
    """``TrainStep`` of a batch method: outer iterations on the loss of one batch after another.

    On another batch, or under another sharpness, the method is restarted. On all the data it goes on from epoch to
    epoch, and says when that no longer makes sense.

    Parameters
    ----------
    config : TrainingConfig
        Resolved.
    network, loss, data
        What is trained, on what.
    executor : Executor, optional
        Whose workers are asked. Default: this process.

    Raises
    ------
    InputError
        If the network drops units, or has more weights than a dense matrix is made for.
    """

    advice = ""
    learning_rate = None

    def __init__(
        self,
        config: TrainingConfig,
        network: Network,
        loss: Loss,
        data: SequenceBatch,
        executor: Executor | None = None,
    ) -> None:
        _check(config, network)
        assert config.inner_iterations is not None
        self.method: Method[Any] = config.options()
        self.iterations = config.inner_iterations
        self.network, self.data = network, data
        self.objective = NetworkObjective(network, loss, config.engine())
        curved = loss.for_curvature()
        self.computing = _shared_out(self.objective, executor)
        self.curved = None if curved is loss else _shared_out(NetworkObjective(network, curved), executor)
        self.whole: CountingFunction | None = None  # of all the data; it keeps the Jacobian of the last gradient
        self.changes = isinstance(config.sharpness, Schedule) and config.sharpness.shape != "constant"
        self.state: State | None = None
        self.sharpness = network.lstm.cell.sharpness  # that the state belongs to
        self.ended: str | None = None

    def begin_epoch(self, progress: float) -> None:
        """Nothing is scheduled here."""

    def on(self, batch: SequenceBatch, place: str) -> Iterator[tuple[float, float]]:
        """One update for each batch, of ``iterations`` iterations."""
        if not bool(batch.target_mask.any()):
            return
        everything = len(batch) == len(self.data)
        loop = Loop(self.method, EvaluationCounter())
        function = self._function(loop, batch, everything)
        before = after = self.objective.theta
        try:
            state = self._state_on(function, everything)
            assert state.gradient is not None  # it was just taken, or kept on all the data
            value, norm = state.value, math.sqrt(dot(state.gradient, state.gradient))
            stop = loop.run(function, state, self.iterations, leaves=not everything)
            after = state.theta
        except DivergenceError:
            what = "gradient" if math.isfinite(function.value(before)) else "loss"
            raise diverged(what, place, self.advice) from None
        finally:  # what was tried last is not always what was kept
            self.objective.assign(after)
        self.state, self.sharpness = state, self.network.lstm.cell.sharpness
        if everything and not self.changes:
            self.ended = _ended(stop)
        yield value, norm

    def _function(self, loop: Loop[Any], batch: SequenceBatch, everything: bool) -> CountingFunction:
        if not everything:
            return loop.counted(self._bound(batch))
        if self.whole is None:
            # The plan's random order would change the rounding of sums, and so the function that is minimised.
            self.whole = loop.counted(self._bound(self.data))
        return self.whole

    def _bound(self, samples: SequenceBatch) -> Function:
        function = BoundObjective(self.computing, samples)
        return function if self.curved is None else SeparateCurvature(function, BoundObjective(self.curved, samples))

    def _state_on(self, function: Function, everything: bool) -> State:
        state = self.state
        if state is None:
            state = self.method.start(function, self.objective.theta)
        elif not everything or self.sharpness != self.network.lstm.cell.sharpness:
            state = self.method.restart(function, state)
        return state

    def pack(self) -> dict[str, Tensor]:
        """The method's state and the sharpness that it belongs to; nothing before the first batch."""
        if self.state is None:
            return {}
        return {**self.state.pack(), "sharpness": torch.tensor(self.sharpness, dtype=torch.float64, device="cpu")}

    def unpack(self, packed: Mapping[str, Tensor]) -> None:
        """Put back the state that ``pack`` took. CheckpointError if it is another method's."""
        if not packed:
            return
        device = next(self.network.parameters()).device
        rest = {name: value.to(device) for name, value in packed.items()}
        sharpness = rest.pop("sharpness", None)
        if sharpness is None:
            raise CheckpointError("the optimiser's state has no sharpness; expected one")
        self.sharpness = sharpness.item()
        self.state = self.method.state_type.unpack(rest)


def _check(config: TrainingConfig, network: Network) -> None:
    if network.lstm.dropout > 0:
        raise InputError(
            f"optimizer={config.optimizer!r} needs a loss that repeats, and the network drops units at random "
            f"(dropout={network.lstm.dropout:g}); expected dropout=0, or {listed(names(methods=False))}"
        )
    count, most = network.weight_count(), config.entry.max_weights
    if most is not None and count > most:
        raise InputError(
            f"optimizer={config.optimizer!r} makes a matrix of all pairs of weights, and the network has {count} "
            f"weights; expected at most {most}, or optimizer='hessian_free', which makes none"
        )


def _shared_out(objective: NetworkObjective, executor: Executor | None) -> NetworkObjective | MapReduceObjective:
    return objective if executor is None else MapReduceObjective(objective, executor)


def _ended(stop: Stop | None) -> str | None:
    return stop.status if stop is not None and stop.status in ("converged", "stalled") else None
