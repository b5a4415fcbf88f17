"""One question put to the workers of an executor: leases given out, answers taken, the sum made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from longlag.distributed.datasets import Dataset
from longlag.distributed.executor import Executor
from longlag.distributed.ledger import Lease, Ledger
from longlag.distributed.question import Answer, Answered, Failed, Handle, Kind, Lost, Task
from longlag.distributed.sums import Sums
from longlag.errors import ClusterError, InputError

__all__ = ["LEASE", "Master", "Question"]

LEASE = 10.0  # seconds; longer where a worker has needed longer
WORTH = 0.02  # seconds that a lease should take, so that sending it costs little
LEAST = 4  # times what a message takes: work that is not worth sharing out
LATE = 0.005  # seconds that an answer may be under way, and that a second opinion must save
MOST = 64  # chunks of a lease: what tells a worker where they are should fit a message
TOGETHER = 4  # chunks of a product with the curvature at least: there are many, and each waits for the last
PATIENCE = 0.05  # seconds between two looks at the clock
FATAL = 3  # workers that one lease may cost


@dataclass(frozen=True)
class Question:
    """What is asked of every chunk. See ``Task``."""

    kind: Kind
    objective: Handle
    theta: Handle
    v: Handle | None = None
    structural: float = 0.0
    seed: int | None = None


@dataclass(eq=False)
class Master:
    """Asks one question about one data set.

    An idle worker pulls the next chunks; at the end, when none are left, it repeats those of a slower worker if it
    will be done with them first. Whoever computed a chunk, its numbers are the same, and so is the sum.
    """

    executor: Executor
    dataset: Dataset
    question: Question
    lease: float = LEASE
    running: dict[int, Lease] = field(default_factory=dict)
    deaths: dict[tuple[int, int], list[str]] = field(default_factory=dict)  # hosts of those who died of these chunks
    doubted: dict[tuple[int, int], Lease] = field(default_factory=dict)
    last: str = "none ever joined"

    def __post_init__(self) -> None:
        self.ledger = Ledger(list(self.dataset.homes))

    def answer(self) -> Sums:
        """The sums over all samples. Where a chunk's are not finite, and a second look confirms it, the chunk's own.

        Raises
        ------
        InputError
            If a chunk cannot be read, or the objective cannot answer.
        ClusterError
            If no worker is left, a worker fails, or two disagree about whether a chunk's numbers are finite.
        """
        while not self.ledger.finished:
            self.ledger.expire(self.executor.now())
            for worker in self.executor.idle:
                self._employ(worker)
            if not self.executor.standing and not self.executor.hopeful:
                raise ClusterError(f"no worker is left ({self.last}); the parameters are as they were")
            for event in self.executor.events(PATIENCE):
                match event:
                    case Answered(worker, answer):
                        final = self._take(worker, answer)
                        if final is not None:
                            return final
                    case Lost(worker, why):
                        self._mourn(worker, why)
                    case Failed(why):
                        self.last = why
                    case _:
                        pass
        total = self.ledger.total()
        if total.count != self.dataset.count:
            raise ClusterError(
                f"the chunks hold {total.count} samples, {self.dataset.count} were expected; were files changed?"
            )
        self.dataset.homes = list(self.ledger.answered_by)
        return total

    # -- giving out ------------------------------------------------------------------------------------------------

    def _employ(self, worker: str) -> None:
        now, pace = self.executor.now(), self._pace(worker)
        lease = self._doubtful(worker, now)
        if lease is None:
            lease = self.ledger.lease(worker, now, now + self.lease, self._most(pace))
        if lease is None:
            slower = self._slower(worker, now)
            if slower is None:
                return
            lease = self.ledger.copy(slower, worker, now, now + self.lease)
        lease.deadline = now + max(self.lease, 4 * (pace or 0.0) * len(lease))
        number, question = self.executor.numbered(), self.question
        self.running[number] = lease
        self.executor.give(
            worker,
            Task(
                number,
                question.kind,
                question.objective,
                question.theta,
                question.v,
                self.dataset.name,
                tuple(self.dataset.parts[lease.start : lease.stop]),
                lease.start,
                lease.stop,
                question.structural,
                question.seed,
            ),
        )

    def _most(self, pace: float | None) -> int:
        """Chunks of the next lease at most: enough to be worth sending, few enough to leave some for the others."""
        wanted = TOGETHER if self.question.kind == "product" else 1
        share = self.ledger.pending // (2 * len(self.executor.standing))
        if pace is not None:
            wanted = max(wanted, int(WORTH / max(pace, 1e-6)))
            share = max(share, int(LEAST * self.executor.latency / max(pace, 1e-6)))
        return max(1, min(wanted, MOST, share))

    def _slower(self, worker: str, now: float) -> Lease | None:
        """Those chunks of others that will take longest, if this worker can be done with them before."""
        known = [pace for (_, kind), pace in self.dataset.pace.items() if kind == self.question.kind]
        if not known:
            return None
        slowest = max(known)
        soonest: dict[tuple[int, int], tuple[float, Lease]] = {}
        for lease in self.ledger.leases:
            expected, passed = (self._pace(lease.worker) or slowest) * len(lease), now - lease.since
            # Overdue, nothing is known but that it takes long: it may take as long again.
            remaining = 0.0 if lease.worker == worker else expected - passed if passed < expected + LATE else passed
            place = (lease.start, lease.stop)
            if place not in soonest or remaining < soonest[place][0]:
                soonest[place] = remaining, lease
        own = self._pace(worker) or slowest
        late = [(remaining, lease) for remaining, lease in soonest.values() if own * len(lease) + LATE < remaining]
        late = [(remaining, lease) for remaining, lease in late if not self.ledger.is_done(lease)]
        return max(late, key=lambda entry: entry[0])[1] if late else None

    def _pace(self, worker: str) -> float | None:
        return self.dataset.pace.get((worker, self.question.kind))

    def _doubtful(self, worker: str, now: float) -> Lease | None:
        """Chunks whose numbers were not finite, for a second look by another worker.

        Raises
        ------
        ClusterError
            If none has answered for a long time.
        """
        looking = {(lease.start, lease.stop) for lease in self.running.values() if not lease.expired}
        for place, lease in self.doubted.items():
            if lease.worker != worker and place not in looking:
                return self.ledger.copy(lease, worker, now, now + self.lease)
            if now - lease.since > FATAL * self.lease:
                raise ClusterError(
                    f"{self._called(lease.worker)} found numbers for {_chunks(lease)} that are not finite, and no "
                    "other worker answers; the parameters are as they were"
                )
        return None

    # -- taking ----------------------------------------------------------------------------------------------------

    def _take(self, worker: str, answer: Answer) -> Sums | None:
        lease = self.running.pop(answer.number, None)
        if lease is None:  # of a question asked before this one
            return None
        if answer.sums is None:
            kind = InputError if answer.mistaken else ClusterError
            raise kind(f"{self._called(worker)}: {answer.problem}")
        self.dataset.note(worker, self.question.kind, answer.seconds / len(lease))
        return self._judge(worker, lease, answer.sums)

    def _judge(self, worker: str, lease: Lease, sums: Sums) -> Sums | None:
        """Enter what is finite. What is not, once it is confirmed, is the answer: no sum can be finite any more."""
        place = (lease.start, lease.stop)
        doubted = self.doubted.get(place)
        if doubted is None and sums.finite:
            self.ledger.done(lease, sums)
        elif doubted is None and len(self.executor.standing) > 1:
            lease.since, lease.deadline = self.executor.now(), math.inf  # nobody else's until another has looked again
            self.doubted[place] = lease
        elif doubted is not None and doubted.worker == worker:  # its other copy of this lease
            self.ledger.leases.remove(lease)
        elif not sums.finite:
            return sums
        else:
            assert doubted is not None
            raise ClusterError(
                f"{self._called(doubted.worker)} found numbers for {_chunks(lease)} that are not finite, and "
                f"{self._called(worker)} finite ones; one of them is not to be trusted; the parameters are as they were"
            )
        return None

    def _mourn(self, worker: str, why: str) -> None:
        self.last = f"the last was {self._called(worker)}: {why}"
        for number, lease in list(self.running.items()):
            if lease.worker == worker:
                del self.running[number]
                hosts = self.deaths.setdefault((lease.start, lease.stop), [])
                hosts.append(self._host(worker))
                if len(hosts) >= FATAL and not self._is_one_machine(hosts):
                    raise ClusterError(
                        f"{_chunks(lease)} cost {FATAL} workers their lives; {self.last}; the parameters are as "
                        "they were"
                    )
        self.doubted = {place: lease for place, lease in self.doubted.items() if lease.worker != worker}
        self.ledger.lost(worker)

    def _is_one_machine(self, hosts: list[str]) -> bool:
        """Whether all of them died with one machine, while others stand: it is then not the chunks that kill."""
        return len(set(hosts)) == 1 and any(self._host(worker) != hosts[0] for worker in self.executor.standing)

    def _host(self, worker: str) -> str:
        greeting = self.executor.greetings.get(worker)
        return "" if greeting is None else greeting.host

    def _called(self, worker: str) -> str:
        """For people."""
        greeting = self.executor.greetings.get(worker)
        return worker if greeting is None else f"{worker} (process {greeting.process} on {greeting.host})"


def _chunks(lease: Lease) -> str:
    return f"chunk {lease.start}" if len(lease) == 1 else f"chunks {lease.start} to {lease.stop - 1}"
