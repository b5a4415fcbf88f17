"""MapReduceObjective: an objective whose samples are shared out among workers, and whose bits do not depend on them."""

from __future__ import annotations

import math
import weakref
from typing import Protocol

import torch
from torch import Tensor

from longlag.checks import instance_of, is_number, not_negative, shown, whole_number
from longlag.data.sequences import SequenceBatch
from longlag.distributed.chunks import FromFiles, pack
from longlag.distributed.datasets import check_samples
from longlag.distributed.executor import Executor, check_executor
from longlag.distributed.master import LEASE_SECONDS, Master
from longlag.distributed.messages import Handle, Request, RequestKind
from longlag.distributed.sums import Sums
from longlag.distributed.worker import one_thread
from longlag.errors import InputError
from longlag.nn.curvature import Curvature, Linearisation, OldCurvatureNames
from longlag.renamed import renamed_arguments

__all__ = ["MapReduceObjective", "Samples"]

Samples = SequenceBatch | FromFiles

CHUNKS = 64  # of a data set, where they are then worth sending
CHUNK_WORK = (5e7, 5e8)  # floating point operations of a chunk's gradient: at least; and if there are more than CHUNKS
DENSE_WEIGHTS = 512  # up to which a Gauss-Newton matrix is summed as such: 2 MB in float64


class SumObjective(Protocol):
    """An objective whose values over chunks can be added."""

    @property
    def averages(self) -> bool:
        """Whether it is a mean over samples; otherwise it is a sum over them."""
        ...

    def value(self, theta: Tensor, batch: SequenceBatch) -> float: ...

    def value_and_gradient(self, theta: Tensor, batch: SequenceBatch) -> tuple[float, Tensor]: ...

    def curvature_product(self, theta: Tensor, v: Tensor, batch: SequenceBatch) -> Tensor: ...


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
        Seconds after which a chunk may be given to another worker (longer for workers known to need longer). When all
        leases have run out, and for two more leases (ten seconds at least) no worker has given a sign of life, the
        request ends with ClusterError. Workers that live may take as long as they need.

    Raises
    ------
    InputError
        If the objective does not say whether it averages, or an option cannot be used.
    """

    def __init__(
        self, objective: SumObjective, executor: Executor, *, chunk: int | None = None, lease: float = LEASE_SECONDS
    ) -> None:
        if not isinstance(getattr(objective, "averages", None), bool):
            raise InputError(
                f"a {type(objective).__name__} does not say whether it averages over samples; expected a "
                "NetworkObjective, or an attribute averages = True or False"
            )
        check_executor(executor)
        if not is_number(lease) or lease <= 0:
            raise InputError(f"lease is {shown(lease)}; expected a positive number of seconds")
        self.objective, self.executor, self.lease = objective, executor, float(lease)
        self.chunk = None if chunk is None else whole_number("chunk", chunk, 1)
        self._sent: tuple[Tensor, Handle] | None = None
        self._at: tuple[Tensor, Handle] | None = None
        self._handles: dict[str, Handle] = {}
        weakref.finalize(self, _release, executor, self._handles)

    @property
    def averages(self) -> bool:
        """Whether this is a mean over samples."""
        return self.objective.averages

    # -- what an Objective answers ---------------------------------------------------------------------------------

    @renamed_arguments(samples="batch")
    def value(self, theta: Tensor, batch: Samples) -> float:
        """Return the loss at ``theta``, (W,).

        Raises
        ------
        InputError
            If a chunk cannot be read, the objective refuses it, or an argument cannot be used.
        ClusterError
            If no worker is left or gives a sign of life, or one fails in another way. Nothing has changed.
        """
        value = self._request("value", theta, batch).value
        assert value is not None
        return value

    @renamed_arguments(samples="batch")
    def value_and_gradient(self, theta: Tensor, batch: Samples) -> tuple[float, Tensor]:
        """Return the loss at ``theta`` and its gradient, (W,). Raises as ``value`` does."""
        sums = self._request("gradient", theta, batch)
        assert sums.value is not None and sums.vector is not None
        return sums.value, sums.vector

    @renamed_arguments(samples="batch")
    def curvature_product(self, theta: Tensor, v: Tensor, batch: Samples, *, structural: float = 0.0) -> Tensor:
        """Return the Gauss-Newton matrix at ``theta`` times ``v``, (W,). Raises as ``value`` does."""
        product = self._request("product", theta, batch, v, structural).vector
        assert product is not None
        return product

    @renamed_arguments(samples="batch")
    def curvature(self, theta: Tensor, batch: Samples, *, structural: float = 0.0) -> Curvature:
        """Return the Gauss-Newton matrix at ``theta``: summed as such where that is cheap, else by its products."""
        _check_vector("theta", theta)
        not_negative("structural", structural)
        if theta.numel() <= DENSE_WEIGHTS and not structural and hasattr(self.objective, "curvature"):
            matrix = self._request("matrix", theta, batch).matrix
            if matrix is not None:
                return SummedMatrix(matrix)
        return ProductsByRequest(self, theta.clone(), batch, structural)

    @renamed_arguments(samples="batch")
    def linearise(self, theta: Tensor, batch: Samples) -> Linearisation:
        """Return value and gradient, and the Gauss-Newton matrix with them where workers store their Jacobians."""
        _check_vector("theta", theta)
        if theta.numel() > DENSE_WEIGHTS or not hasattr(self.objective, "linearise"):
            return Linearisation(*self.value_and_gradient(theta, batch), None)
        sums = self._request("linearise", theta, batch)
        assert sums.value is not None and sums.vector is not None
        return Linearisation(sums.value, sums.vector, None if sums.matrix is None else SummedMatrix(sums.matrix))

    # -- one request -----------------------------------------------------------------------------------------------

    def _request(
        self, kind: RequestKind, theta: Tensor, batch: Samples, v: Tensor | None = None, structural: float = 0.0
    ) -> Sums:
        self.executor.check_open()
        check_samples(batch)
        _check_vector("theta", theta)
        if kind == "product":
            _check_vector("v", v, len(theta))
        not_negative("structural", structural)
        # The driver's own sums and comparisons too: the cores are the workers', and threads that wait for one another
        # while workers have the cores make milliseconds of microseconds.
        with one_thread():
            sums = self._sums(kind, theta, batch, v, structural)
        if not sums.finite:
            return _not_finite(sums, theta)
        return _mean(sums) if self.averages else sums

    def _sums(self, kind: RequestKind, theta: Tensor, batch: Samples, v: Tensor | None, structural: float) -> Sums:
        dataset = self.executor.datasets.find(batch, self._size(theta, batch))
        shared = None if v is None else self.executor.share([[v.detach()]])[0]
        seed = int(torch.randint(2**62, (), device="cpu")) if getattr(self.objective, "draws", False) else None
        request = Request(kind, self._objective(), self._point(theta), shared, structural, seed)
        try:
            return Master(self.executor, dataset, request, self.lease).answer()
        finally:
            if shared is not None:
                self.executor.release([shared])

    def _size(self, theta: Tensor, batch: Samples) -> int:
        """Return the samples of a chunk. They follow from data and network alone."""
        if self.chunk is not None:
            return self.chunk
        count = len(batch)
        steps = int(batch.lengths.sum()) if isinstance(batch, SequenceBatch) else batch.steps
        each = 6 * max(theta.numel(), 1) * max(steps, 1) / count
        least, most = (math.ceil(work / each) for work in CHUNK_WORK)
        return min(max(least, min(most, math.ceil(count / CHUNKS))), count)

    def _objective(self) -> Handle:
        """Return the workers' copy, sent again when anything but its weights has changed: a gate's sharpness, say."""
        packed = pack(self.objective, f"the {type(self.objective).__name__}")
        if self._sent is None or not torch.equal(self._sent[0], packed):
            self._sent = packed, self._renewed("objective", packed)
        return self._sent[1]

    def _point(self, theta: Tensor) -> Handle:
        """Return the workers' copy of ``theta``, the same for all requests at one point."""
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


def _check_vector(name: str, vector: object, size: int | None = None) -> None:
    """Raise InputError unless ``vector`` is a vector of floating-point numbers on the CPU (of ``size`` of them)."""
    instance_of(name, vector, Tensor, "a tensor (W,)")
    assert isinstance(vector, Tensor)
    if vector.dim() != 1 or not vector.is_floating_point() or vector.device.type != "cpu":
        raise InputError(
            f"{name} is a tensor of shape {tuple(vector.shape)}, {vector.dtype}, on {vector.device}; expected (W,) "
            "floating-point numbers on the CPU"
        )
    if size is not None and len(vector) != size:
        raise InputError(f"{name} holds {len(vector)} numbers; expected {size}, as many as theta")


def _mean(sums: Sums) -> Sums:
    count = max(sums.count, 1)
    return Sums(
        sums.count,
        None if sums.value is None else sums.value / count,
        None if sums.vector is None else sums.vector / count,
        None if sums.matrix is None else sums.matrix / count,
    )


def _not_finite(sums: Sums, theta: Tensor) -> Sums:
    """Return NaN for everything requested: the answer at a point where some samples' numbers are not finite."""
    size = theta.numel()
    return Sums(
        sums.count,
        None if sums.value is None else math.nan,
        None if sums.vector is None else torch.full_like(theta, math.nan),
        None if sums.matrix is None else theta.new_full((size, size), math.nan),
    )


class SummedMatrix(OldCurvatureNames):
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


class ProductsByRequest(OldCurvatureNames):
    """A Gauss-Newton matrix known by its products: each is a request of its own."""

    is_stored = False

    def __init__(self, objective: MapReduceObjective, theta: Tensor, batch: Samples, structural: float) -> None:
        self.objective, self.theta, self.batch, self.structural = objective, theta, batch, structural

    def __matmul__(self, v: Tensor) -> Tensor:
        return self.objective.curvature_product(self.theta, v, self.batch, structural=self.structural)

    def diagonal(self) -> None:
        return None

    def dense(self) -> Tensor:
        sums = self.objective._request("dense_matrix", self.theta, self.batch, structural=self.structural)
        assert sums.matrix is not None
        return sums.matrix
