"""MapReduceEngine: a gradient engine whose batches are shared out among workers."""

from __future__ import annotations

from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.distributed.executor import Executor, check_executor
from longlag.distributed.objective import MapReduceObjective
from longlag.gradients.engine import Gradient, GradientEngine, trainable
from longlag.gradients.objective import NetworkObjective
from longlag.nn.flat import parts_of
from longlag.nn.losses import Loss
from longlag.nn.network import Network

__all__ = ["MapReduceEngine"]


class MapReduceEngine:
    """The gradient of another engine, chunk by chunk on the workers of an executor. See ``MapReduceObjective``.

    Raises
    ------
    InputError
        If ``executor`` is none.
    """

    def __init__(self, engine: GradientEngine, executor: Executor) -> None:
        check_executor(executor)
        self.engine, self.executor = engine, executor
        self._objective: MapReduceObjective | None = None
        self._network: NetworkObjective | None = None

    def value_and_gradient(self, network: Network, loss: Loss, batch: SequenceBatch) -> tuple[Tensor, Gradient]:
        objective = self._network
        if (
            self._objective is None
            or objective is None
            or objective.network is not network
            or objective.loss is not loss
        ):
            objective = self._network = NetworkObjective(network, loss, self.engine)
            self._objective = MapReduceObjective(objective, self.executor)
        theta = objective.theta
        value, gradient = self._objective.value_and_gradient(theta, batch)
        return theta.new_tensor(value), tuple(parts_of(gradient, trainable(network)))
