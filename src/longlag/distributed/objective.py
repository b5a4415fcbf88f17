"""MapReduceObjective: an objective whose samples are shared out among workers, and whose bits do not depend on them."""

from __future__ import annotations

import math
import weakref
from typing import Protocol

import torch
from torch import Tensor

from longlag.data.checks import is_whole
from longlag.data.sequences import SequenceBatch
from longlag.distributed.executor import Executor
from longlag.distributed.master import LEASE, Master, Question
from longlag.distributed.parts import FromFiles, pack
from longlag.distributed.question import Handle, Kind
from longlag.distributed.sums import Sums
from longlag.distributed.worker import one_thread
from longlag.errors import InputError
from longlag.nn.curvature import Curvature, Linearisation, OldCurvatureNames

__all__ = ["MapReduceObjective", "Samples"]

Samples = SequenceBatch | FromFiles

CHUNKS = 64  # of a data set, if they are then worth sending
WORK = (5e7, 5e8)  # floating point operations of a chunk's gradient: at least, and for more than CHUNKS of them
DENSE = 512  # weights up to which a Gauss-Newton matrix is summed as such: 2 MB in float64


class Averaging(Protocol):
    """An objective whose parts can be added."""

    @property
    def averages(self) -> bool:
        """Whether it is a mean over samples; otherwise it is a sum over them."""
        ...

    def value(self, theta: Tensor, samples: SequenceBatch) -> float: ...

    def value_and_gradient(self, theta: Tensor, samples: SequenceBatch) -> tuple[float, Tensor]: ...

    def curvature_product(self, theta: Tensor, v: Tensor, samples: SequenceBatch) -> Tensor: ...


class MapReduceObjective:
    """The ``Objective`` of another one on the workers of an executor (batch paper, section 5.4.2).

    The samples are cut into chunks that do not depend on the workers. Idle workers pull chunks, and answer with sums
    over their samples, which are added in the order of a fixed tree: any executor, any number of workers, any that die
    or wake too late, the bits are those of ``SerialExecutor``, on one kind of processor. Against the objective itself,
    which adds up all samples at once, the last bits differ.

    Every optimiser runs on it. Where workers can store their Jacobians and there are at most 512 weights, their
    matrices are added, and one round of messages serves a whole step of Hessian-free or Levenberg-Marquardt.

    Parameters
    ----------
    objective : NetworkObjective, or another with ``averages``
        The workers get it without the values of its parameters, each time something else in it has changed.
    executor : Executor
        ``SerialExecutor()``, ``ProcessExecutor(...)`` or ``RayExecutor(...)``.
    chunk : int, optional
        Samples of a chunk. Default: a 64th of them, or as many as make some milliseconds of work. Another size gives
        other last bits.
    lease : float
        Seconds after which a chunk may be given to another worker (longer for workers known to need longer).

    Raises
    ------
    InputError
        If the objective does not say whether it averages, or an option cannot be used.
    """

    def __init__(
        self, objective: Averaging, executor: Executor, *, chunk: int | None = None, lease: float = LEASE
    ) -> None:
        if not isinstance(getattr(objective, "averages", None), bool):
            raise InputError(
                f"a {type(objective).__name__} does not say whether it averages over samples; expected a "
                "NetworkObjective, or an attribute averages = True or False"
            )
        if not isinstance(executor, Executor):
            raise InputError(
                f"executor is a {type(executor).__name__}; expected a SerialExecutor, ProcessExecutor or RayExecutor"
            )
        if chunk is not None and (not is_whole(chunk) or chunk < 1):
            raise InputError(f"chunk is {chunk!r}; expected a whole number of at least 1")
        if not 0 < lease < math.inf:
            raise InputError(f"lease is {lease!r}; expected a positive number of seconds")
        self.objective, self.executor, self.chunk, self.lease = objective, executor, chunk, lease
        self._sent: tuple[Tensor, Handle] | None = None
        self._at: tuple[Tensor, Handle] | None = None
        self._handles: dict[str, Handle] = {}
        weakref.finalize(self, _release, executor, self._handles)

    @property
    def averages(self) -> bool:
        """Whether this is a mean over samples."""
        return self.objective.averages

    # -- the waist -------------------------------------------------------------------------------------------------

    def value(self, theta: Tensor, samples: Samples) -> float:
        """The loss at ``theta``.

        Raises
        ------
        InputError
            If a chunk cannot be read, or the objective refuses it.
        ClusterError
            If no worker is left, or one fails in another way. Nothing has changed.
        """
        found = self._ask("value", theta, samples).value
        assert found is not None
        return found

    def value_and_gradient(self, theta: Tensor, samples: Samples) -> tuple[float, Tensor]:
        """The loss at ``theta`` and its gradient, (W,). Raises as ``value`` does."""
        found = self._ask("gradient", theta, samples)
        assert found.value is not None and found.vector is not None
        return found.value, found.vector

    def curvature_product(self, theta: Tensor, v: Tensor, samples: Samples, *, structural: float = 0.0) -> Tensor:
        """The Gauss-Newton matrix at ``theta`` times ``v``, (W,). Raises as ``value`` does."""
        found = self._ask("product", theta, samples, v, structural).vector
        assert found is not None
        return found

    def curvature(self, theta: Tensor, samples: Samples, *, structural: float = 0.0) -> Curvature:
        """The Gauss-Newton matrix at ``theta``: summed as such where that is cheap, otherwise by its products."""
        if theta.numel() <= DENSE and not structural and hasattr(self.objective, "curvature"):
            matrix = self._ask("matrix", theta, samples).matrix
            if matrix is not None:
                return Summed(matrix)
        return Rounds(self, theta.clone(), samples, structural)

    def linearise(self, theta: Tensor, samples: Samples) -> Linearisation:
        """Value and gradient, and the Gauss-Newton matrix along with them where the workers store their Jacobians."""
        if theta.numel() > DENSE or not hasattr(self.objective, "linearise"):
            return Linearisation(*self.value_and_gradient(theta, samples), None)
        found = self._ask("linearise", theta, samples)
        assert found.value is not None and found.vector is not None
        return Linearisation(found.value, found.vector, None if found.matrix is None else Summed(found.matrix))

    # -- one question ----------------------------------------------------------------------------------------------

    def _ask(
        self, kind: Kind, theta: Tensor, samples: Samples, v: Tensor | None = None, structural: float = 0.0
    ) -> Sums:
        self.executor.check_open()
        # The driver's own sums and comparisons too: the cores are the workers', and threads that wait for one another
        # while workers have the cores make milliseconds of microseconds.
        with one_thread():
            sums = self._sums(kind, theta, samples, v, structural)
        if not sums.finite:
            return _nowhere(sums, theta)
        return _mean(sums) if self.averages else sums

    def _sums(self, kind: Kind, theta: Tensor, samples: Samples, v: Tensor | None, structural: float) -> Sums:
        dataset = self.executor.datasets.find(samples, self._size(theta, samples))
        shared = None if v is None else self.executor.share([[v.detach()]])[0]
        seed = int(torch.randint(2**62, ())) if getattr(self.objective, "draws", False) else None
        question = Question(kind, self._objective(), self._point(theta), shared, structural, seed)
        try:
            return Master(self.executor, dataset, question, self.lease).answer()
        finally:
            if shared is not None:
                self.executor.release([shared])

    def _size(self, theta: Tensor, samples: Samples) -> int:
        if self.chunk is not None:
            return self.chunk
        count = max(len(samples), 1)
        steps = int(samples.lengths.sum()) if isinstance(samples, SequenceBatch) else samples.steps
        each = 6 * theta.numel() * max(steps, 1) / count
        least, most = (math.ceil(work / each) for work in WORK)
        return min(max(least, min(most, math.ceil(count / CHUNKS))), count)

    def _objective(self) -> Handle:
        """The workers' copy, sent again when anything but its weights has changed: the sharpness of its gates, say."""
        packed = pack(self.objective, f"the {type(self.objective).__name__}")
        if self._sent is None or not torch.equal(self._sent[0], packed):
            self._sent = packed, self._renewed("objective", packed)
        return self._sent[1]

    def _point(self, theta: Tensor) -> Handle:
        """The workers' copy of ``theta``, the same for all questions at one point."""
        if self._at is None or self._at[0].dtype != theta.dtype or not torch.equal(self._at[0], theta):
            self._at = theta.detach().clone(), self._renewed("theta", theta.detach())
        return self._at[1]

    def _renewed(self, name: str, tensor: Tensor) -> Handle:
        old = self._handles.pop(name, None)
        if old is not None:
            self.executor.release([old])
        self._handles[name] = self.executor.share([[tensor]])[0]
        return self._handles[name]


def _release(executor: Executor, handles: dict[str, Handle]) -> None:
    executor.release(handles.values())


def _mean(sums: Sums) -> Sums:
    count = max(sums.count, 1)
    return Sums(
        sums.count,
        None if sums.value is None else sums.value / count,
        None if sums.vector is None else sums.vector / count,
        None if sums.matrix is None else sums.matrix / count,
    )


def _nowhere(sums: Sums, theta: Tensor) -> Sums:
    """What is asked of a point where some samples' numbers are not finite."""
    size = theta.numel()
    return Sums(
        sums.count,
        None if sums.value is None else math.nan,
        None if sums.vector is None else torch.full_like(theta, math.nan),
        None if sums.matrix is None else theta.new_full((size, size), math.nan),
    )


class Summed(OldCurvatureNames):
    """A Gauss-Newton matrix that the workers have written down: products cost no message."""

    is_stored = True

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix

    def __matmul__(self, v: Tensor) -> Tensor:
        return self.matrix @ v

    def diagonal(self) -> Tensor:
        return self.matrix.diagonal().clone()

    def dense(self) -> Tensor:
        return self.matrix.clone()


class Rounds(OldCurvatureNames):
    """A Gauss-Newton matrix known by its products: one round of messages for each."""

    is_stored = False

    def __init__(self, objective: MapReduceObjective, theta: Tensor, samples: Samples, structural: float) -> None:
        self.objective, self.theta, self.samples, self.structural = objective, theta, samples, structural

    def __matmul__(self, v: Tensor) -> Tensor:
        return self.objective.curvature_product(self.theta, v, self.samples, structural=self.structural)

    def diagonal(self) -> None:
        return None

    def dense(self) -> Tensor:
        found = self.objective._ask("any matrix", self.theta, self.samples, structural=self.structural).matrix
        assert found is not None
        return found
