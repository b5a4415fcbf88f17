"""The ledger of one request: which chunks are pending, leased to whom until when, or done. It has no clock."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from longlag.distributed.sums import Sums, add, parent_branch, tree_sum

__all__ = ["Lease", "Ledger"]


@dataclass(eq=False)
class Lease:
    """Chunks start..stop-1, leased to ``worker`` at ``since``; after ``deadline`` any worker may have them."""

    worker: str
    start: int
    stop: int
    since: float
    deadline: float
    expired: bool = False

    def __len__(self) -> int:
        """Return the number of chunks."""
        return self.stop - self.start


@dataclass(eq=False)
class Ledger:
    """Every chunk is counted exactly once: ``pending -> leased -> done``, and the first answer to a chunk is the one.

    A lease is a run of 2^k chunks from a multiple of 2^k (the last one may be cut short), so that a worker may answer
    with one sum for all of them (see ``sums.split_point``).

    Parameters
    ----------
    locality : sequence of str or None, one per chunk
        The worker that has the chunk's data at hand.
    """

    locality: Sequence[str | None]
    leases: list[Lease] = field(default_factory=list)
    answers: dict[tuple[int, int], Sums] = field(default_factory=dict)
    answered_by: list[str | None] = field(init=False)
    _waiting: dict[str | None, deque[int]] = field(init=False)
    _pending: list[bool] = field(init=False)
    _count: Counter[str | None] = field(init=False)
    _left: int = field(init=False)

    def __post_init__(self) -> None:
        self.answered_by = [None] * len(self.locality)
        self._pending = [True] * len(self.locality)
        self._count = Counter(self.locality)
        self._left = len(self.locality)
        self._waiting = defaultdict(deque)
        for chunk, holder in enumerate(self.locality):
            self._waiting[holder].append(chunk)

    # -- what it knows ---------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """The number of chunks that nobody works on."""
        return self._count.total()

    @property
    def finished(self) -> bool:
        """Whether every chunk is done."""
        return self._left == 0

    def is_done(self, lease: Lease) -> bool:
        """Return whether every chunk of the lease is done."""
        return all(self.answered_by[chunk] is not None for chunk in range(lease.start, lease.stop))

    def total(self) -> Sums:
        """Return the sum over all chunks of a finished ledger, in the order of the tree."""
        return tree_sum(0, len(self.locality), lambda start, stop: self.answers.get((start, stop)))

    # -- leasing ---------------------------------------------------------------------------------------------------

    def lease(self, worker: str, now: float, deadline: float, most: int = 1) -> Lease | None:
        """Lease up to ``most`` pending chunks to the worker; None where no chunk is pending.

        Chunks that the worker has at hand come first, then those that nobody has, then those of the worker with most
        left to do.
        """
        first = self._next(worker)
        if first is None:
            return None
        start, stop = first, first + 1
        width = 2
        while width <= most:
            low = first // width * width
            high = min(low + width, len(self.locality))
            if not all(self._pending[low:high]):
                break
            start, stop, width = low, high, width * 2
        return self._enter(worker, start, stop, now, deadline)

    def copy(self, lease: Lease, worker: str, now: float, deadline: float) -> Lease:
        """Lease the same chunks once more, to a worker that may be done with them earlier."""
        return self._enter(worker, lease.start, lease.stop, now, deadline)

    def _enter(self, worker: str, start: int, stop: int, now: float, deadline: float) -> Lease:
        for chunk in range(start, stop):
            self._take(chunk)
        lease = Lease(worker, start, stop, now, deadline)
        self.leases.append(lease)
        return lease

    def _next(self, worker: str) -> int | None:
        """Return the chunk from which the worker's next lease grows."""
        if not self.pending:
            return None
        if self._count[worker]:
            return self._first(worker)
        if self._count[None]:
            return self._first(None)
        richest = max(self._count, key=lambda holder: (self._count[holder], str(holder)))
        return self._last(richest)

    def _first(self, holder: str | None) -> int:
        queue = self._waiting[holder]
        while not self._pending[queue[0]]:
            queue.popleft()
        return queue[0]

    def _last(self, holder: str | None) -> int:
        queue = self._waiting[holder]
        while not self._pending[queue[-1]]:
            queue.pop()
        return queue[-1]

    def _take(self, chunk: int) -> None:
        if self._pending[chunk]:
            self._pending[chunk] = False
            self._count[self.locality[chunk]] -= 1

    def _put_back(self, lease: Lease) -> None:
        """Make chunks pending again that are neither done nor in another lease that has not expired."""
        held = [other for other in self.leases if other is not lease and not other.expired]
        for chunk in range(lease.start, lease.stop):
            if self.answered_by[chunk] is not None or self._pending[chunk]:
                continue
            if any(other.start <= chunk < other.stop for other in held):
                continue
            self._pending[chunk] = True
            self._count[self.locality[chunk]] += 1
            self._waiting[self.locality[chunk]].appendleft(chunk)

    # -- taking back -----------------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Make the chunks of leases past their deadline pending; a late answer still counts if it is the first."""
        for lease in self.leases:
            if not lease.expired and now > lease.deadline:
                lease.expired = True
                self._put_back(lease)

    def worker_lost(self, worker: str) -> None:
        """End the leases of a dead worker: none of them will be answered."""
        for lease in [lease for lease in self.leases if lease.worker == worker]:
            self.leases.remove(lease)
            self._put_back(lease)

    def enter_answer(self, lease: Lease, sums: Sums) -> bool:
        """End the lease and enter its sums. Return False and enter nothing where one of its chunks is done."""
        if lease in self.leases:
            self.leases.remove(lease)
        if any(self.answered_by[chunk] is not None for chunk in range(lease.start, lease.stop)):
            self._put_back(lease)
            return False
        for chunk in range(lease.start, lease.stop):
            self._take(chunk)
            self.answered_by[chunk] = lease.worker
        self._left -= len(lease)
        self.answers[lease.start, lease.stop] = sums
        self._add_up(lease.start, lease.stop)
        return True

    def _add_up(self, start: int, stop: int) -> None:
        """Add the branches whose two halves are known: now, while workers compute, and not when all wait."""
        branch = parent_branch(start, stop, len(self.locality))
        while branch is not None:
            low, middle, high = branch
            if (low, middle) not in self.answers or (middle, high) not in self.answers:
                return
            self.answers[low, high] = add(self.answers.pop((low, middle)), self.answers.pop((middle, high)))
            branch = parent_branch(low, high, len(self.locality))
