"""The ledger of one question: which chunks are pending, leased to whom until when, done. It has no clock of its own."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from longlag.distributed.sums import Sums, above, add, added

__all__ = ["Lease", "Ledger"]


@dataclass(eq=False)
class Lease:
    """Chunks start..stop-1, given to ``worker`` at ``since``; after ``deadline`` anybody may have them."""

    worker: str
    start: int
    stop: int
    since: float
    deadline: float
    expired: bool = False

    def __len__(self) -> int:
        """Chunks."""
        return self.stop - self.start


@dataclass(eq=False)
class Ledger:
    """Every chunk is counted exactly once: ``pending -> leased -> done``, and the first answer to a chunk is the one.

    A lease is a run of 2^k chunks from a multiple of 2^k (the last one may be cut short), so that a worker may answer
    with one sum for all of them (see ``sums.halves``).

    Parameters
    ----------
    homes : sequence of str or None, one per chunk
        Who has this chunk's data at hand.
    """

    homes: Sequence[str | None]
    leases: list[Lease] = field(default_factory=list)
    answers: dict[tuple[int, int], Sums] = field(default_factory=dict)
    answered_by: list[str | None] = field(init=False)
    _waiting: dict[str | None, deque[int]] = field(init=False)
    _pending: list[bool] = field(init=False)
    _count: Counter[str | None] = field(init=False)
    _left: int = field(init=False)

    def __post_init__(self) -> None:
        self.answered_by = [None] * len(self.homes)
        self._pending = [True] * len(self.homes)
        self._count = Counter(self.homes)
        self._left = len(self.homes)
        self._waiting = defaultdict(deque)
        for chunk, home in enumerate(self.homes):
            self._waiting[home].append(chunk)

    # -- what it knows ---------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Chunks that nobody works on."""
        return self._count.total()

    @property
    def finished(self) -> bool:
        """Whether every chunk is done."""
        return self._left == 0

    def is_done(self, lease: Lease) -> bool:
        """Whether nothing of the lease is still wanted."""
        return all(self.answered_by[chunk] is not None for chunk in range(lease.start, lease.stop))

    def total(self) -> Sums:
        """The sum over all chunks, in the one order. Only of a finished ledger."""
        return added(0, len(self.homes), lambda start, stop: self.answers.get((start, stop)))

    # -- giving out ------------------------------------------------------------------------------------------------

    def lease(self, worker: str, now: float, deadline: float, most: int = 1) -> Lease | None:
        """Up to ``most`` pending chunks: the worker's own, then nobody's, then of him who has most left to do."""
        first = self._next(worker)
        if first is None:
            return None
        start, stop = first, first + 1
        width = 2
        while width <= most:
            low = first // width * width
            high = min(low + width, len(self.homes))
            if not all(self._pending[low:high]):
                break
            start, stop, width = low, high, width * 2
        return self._give(worker, start, stop, now, deadline)

    def copy(self, lease: Lease, worker: str, now: float, deadline: float) -> Lease:
        """The same chunks once more, to somebody who may be done earlier."""
        return self._give(worker, lease.start, lease.stop, now, deadline)

    def _give(self, worker: str, start: int, stop: int, now: float, deadline: float) -> Lease:
        for chunk in range(start, stop):
            self._take(chunk)
        given = Lease(worker, start, stop, now, deadline)
        self.leases.append(given)
        return given

    def _next(self, worker: str) -> int | None:
        if not self.pending:
            return None
        if self._count[worker]:
            return self._first(worker)
        if self._count[None]:
            return self._first(None)
        richest = max(self._count, key=lambda home: (self._count[home], str(home)))
        return self._last(richest)

    def _first(self, home: str | None) -> int:
        queue = self._waiting[home]
        while not self._pending[queue[0]]:
            queue.popleft()
        return queue[0]

    def _last(self, home: str | None) -> int:
        queue = self._waiting[home]
        while not self._pending[queue[-1]]:
            queue.pop()
        return queue[-1]

    def _take(self, chunk: int) -> None:
        if self._pending[chunk]:
            self._pending[chunk] = False
            self._count[self.homes[chunk]] -= 1

    def _put_back(self, lease: Lease) -> None:
        """Pending again: chunks that are neither done nor leased to somebody else whose time is not over."""
        held = [other for other in self.leases if other is not lease and not other.expired]
        for chunk in range(lease.start, lease.stop):
            if self.answered_by[chunk] is not None or self._pending[chunk]:
                continue
            if any(other.start <= chunk < other.stop for other in held):
                continue
            self._pending[chunk] = True
            self._count[self.homes[chunk]] += 1
            self._waiting[self.homes[chunk]].appendleft(chunk)

    # -- taking back -----------------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Leases past their deadline become pending again; their late answers still count if they are the first."""
        for lease in self.leases:
            if not lease.expired and now > lease.deadline:
                lease.expired = True
                self._put_back(lease)

    def lost(self, worker: str) -> None:
        """The worker is gone: nothing of what it holds will come."""
        for lease in [lease for lease in self.leases if lease.worker == worker]:
            self.leases.remove(lease)
            self._put_back(lease)

    def done(self, lease: Lease, sums: Sums) -> bool:
        """Enter an answer. False, and nothing changes but the lease's end, where one of its chunks is done already."""
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
        """Add what has both its halves: now, while workers compute, and not when all wait. The tree is the same."""
        branch = above(start, stop, len(self.homes))
        while branch is not None:
            low, middle, high = branch
            if (low, middle) not in self.answers or (middle, high) not in self.answers:
                return
            self.answers[low, high] = add(self.answers.pop((low, middle)), self.answers.pop((middle, high)))
            branch = above(low, high, len(self.homes))
