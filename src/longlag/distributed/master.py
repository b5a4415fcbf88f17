"""The master of one request: it leases chunks to workers, takes their answers, and makes the sum of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from longlag.distributed.datasets import Dataset
from longlag.distributed.executor import Executor
from longlag.distributed.ledger import Lease, Ledger
from longlag.distributed.messages import Alive, Answer, Answered, ChunkTask, Event, Lost, Request, StartFailed
from longlag.distributed.sums import Sums
from longlag.errors import ClusterError, InputError

__all__ = ["LEASE_SECONDS", "Master"]

LEASE_SECONDS = 10.0  # longer for a worker that has needed longer
WORTH_SECONDS = 0.02  # of work in a lease, so that sending it costs little
WORTH_LATENCIES = 4  # times what a message takes: less work is not worth sharing out
LATE_SECONDS = 0.005  # that an answer may be under way, and that repeating a chunk must save
MOST_CHUNKS = 64  # of a lease: the message that says where they are stays small
PRODUCT_CHUNKS = 4  # of a product's lease at least: there are many products, and each waits for the last lease
POLL_SECONDS = 0.05  # between two looks at the clock
MOST_DEATHS = 3  # of workers at one lease
SILENT_LEASES = 2  # after the last lease has run out, until workers that give no sign of life are given up
PING_SECONDS = 1.0  # between two pings
PONG_SECONDS = 10.0  # that a living worker has at least to answer a ping, however busy its machine is


@dataclass(eq=False)
class Master:
    """Computes one request on one data set.

    An idle worker pulls the next chunks; when none are left, it repeats those of a slower worker if it will be done
    with them first. Whoever computed a chunk, its numbers are the same, and so is the sum.
    """

    executor: Executor
    dataset: Dataset
    request: Request
    lease_seconds: float = LEASE_SECONDS
    running: dict[int, Lease] = field(default_factory=dict)  # by number of the task
    deaths: dict[tuple[int, int], list[str]] = field(default_factory=dict)  # by chunks: the hosts of the dead
    doubted: dict[tuple[int, int], Lease] = field(default_factory=dict)  # leases whose numbers were not finite
    last_loss: str = "none ever joined"
    silence: float = 0.0  # seconds waited since a worker was heard, or had time left to answer
    pinged: float = -math.inf
    late: bool = False  # whether it was logged that workers are late

    def __post_init__(self) -> None:
        self.ledger = Ledger(list(self.dataset.locality))

    def answer(self) -> Sums:
        """Return the sums over all samples; those of one chunk where they are not finite and a second look confirms it.

        Raises
        ------
        InputError
            If a chunk cannot be read, or the objective cannot answer.
        ClusterError
            If no worker is left or gives a sign of life, a worker fails, or two disagree about whether a chunk's
            numbers are finite.
        """
        while not self.ledger.finished:
            self.ledger.expire(self.executor.now())
            for worker in self.executor.idle:
                self._assign(worker)
            if not self.executor.workers and not self.executor.expecting:
                raise ClusterError(f"no worker is left ({self.last_loss}); the parameters are as they were")
            for event in self._events():
                match event:
                    case Answered(worker, answer):
                        final = self._take(worker, answer)
                        if final is not None:
                            return final
                    case Lost(worker, reason):
                        self._lose(worker, reason)
                    case StartFailed(reason):
                        self.last_loss = reason
                    case _:
                        pass
        total = self.ledger.total()
        if total.count != self.dataset.count:
            raise ClusterError(
                f"the chunks hold {total.count} samples, {self.dataset.count} were expected; were files changed?"
            )
        self.dataset.locality = list(self.ledger.answered_by)
        return total

    # -- leasing ---------------------------------------------------------------------------------------------------

    def _assign(self, worker: str) -> None:
        now, seconds = self.executor.now(), self._chunk_seconds(worker)
        deadline = now + self.lease_seconds
        lease = self._second_look(worker, now)
        if lease is None:
            lease = self.ledger.lease(worker, now, deadline, self._most(seconds))
        if lease is None:
            straggler = self._straggler(worker, now)
            if straggler is None:
                return
            lease = self.ledger.copy(straggler, worker, now, deadline)
        lease.deadline = now + max(self.lease_seconds, 4 * (seconds or 0.0) * len(lease))
        number = self.executor.next_number()
        self.running[number] = lease
        chunks = tuple(self.dataset.chunks[lease.start : lease.stop])
        self.executor.assign(
            worker, ChunkTask(number, self.request, self.dataset.name, chunks, lease.start, lease.stop)
        )

    def _most(self, seconds: float | None) -> int:
        """Return the most chunks of the next lease: enough to be worth sending, few enough to leave some for others."""
        wanted = PRODUCT_CHUNKS if self.request.kind == "product" else 1
        share = self.ledger.pending // (2 * len(self.executor.workers))
        if seconds is not None:
            wanted = max(wanted, int(WORTH_SECONDS / max(seconds, 1e-6)))
            share = max(share, int(WORTH_LATENCIES * self.executor.latency / max(seconds, 1e-6)))
        return max(1, min(wanted, MOST_CHUNKS, share))

    def _straggler(self, worker: str, now: float) -> Lease | None:
        """Return the lease that will take longest, if this worker can be done with its chunks before."""
        known = [seconds for (_, kind), seconds in self.dataset.seconds_per_chunk.items() if kind == self.request.kind]
        if not known:
            return None
        slowest = max(known)
        soonest: dict[tuple[int, int], tuple[float, Lease]] = {}
        for lease in self.ledger.leases:
            expected, passed = (self._chunk_seconds(lease.worker) or slowest) * len(lease), now - lease.since
            # Of an overdue lease nothing is known but that it takes long: it may take as long again.
            remaining = 0.0 if lease.worker == worker else expected - passed
            if lease.worker != worker and passed >= expected + LATE_SECONDS:
                remaining = passed
            place = (lease.start, lease.stop)
            if place not in soonest or remaining < soonest[place][0]:
                soonest[place] = remaining, lease
        own = self._chunk_seconds(worker) or slowest
        late = [
            (remaining, lease)
            for remaining, lease in soonest.values()
            if own * len(lease) + LATE_SECONDS < remaining and not self.ledger.is_done(lease)
        ]
        return max(late, key=lambda entry: entry[0])[1] if late else None

    def _chunk_seconds(self, worker: str) -> float | None:
        """Return the seconds that a chunk takes the worker, if it has computed one for a request of this kind."""
        return self.dataset.seconds_per_chunk.get((worker, self.request.kind))

    def _second_look(self, worker: str, now: float) -> Lease | None:
        """Return a lease of chunks whose numbers another worker found not finite.

        Raises
        ------
        ClusterError
            If no other worker has looked for a long time.
        """
        looking = {(lease.start, lease.stop) for lease in self.running.values() if not lease.expired}
        for place, lease in self.doubted.items():
            if lease.worker != worker and place not in looking:
                return self.ledger.copy(lease, worker, now, now + self.lease_seconds)
            if now - lease.since > (1 + SILENT_LEASES) * self.lease_seconds:
                raise ClusterError(
                    f"{self._described(lease.worker)} found numbers for {_chunks(lease)} that are not finite, and no "
                    "other worker answers; the parameters are as they were"
                )
        return None

    # -- listening -------------------------------------------------------------------------------------------------

    def _events(self) -> Sequence[Event]:
        """Return what has happened. Workers are pinged when every lease has run out: nobody waits for the dead.

        Raises
        ------
        ClusterError
            If no worker has given a sign of life for long, and none is starting.
        """
        began = self.executor.now()
        events = self.executor.events(POLL_SECONDS)
        if events or any(not lease.expired for lease in self.running.values()):
            self.silence = 0.0
        else:
            # Of one wait no more is counted than was meant: this process may have been stopped itself.
            self.silence += min(self.executor.now() - began, POLL_SECONDS)
        if any(isinstance(event, Alive) for event in events):
            self._log_lateness()
        if self.silence and self.executor.now() - self.pinged >= PING_SECONDS:
            self.pinged = self.executor.now()
            self.executor.ping()
        if self.silence > max(SILENT_LEASES * self.lease_seconds, PONG_SECONDS) and not self.executor.expecting:
            silent = ", ".join(self._described(worker) for worker in self.executor.workers)
            raise ClusterError(
                f"no worker gives a sign of life ({silent}); expected them to run, and not to be stopped or cut off; "
                "the parameters are as they were"
            )
        return events

    def _log_lateness(self) -> None:
        """Say once that all workers live and none answers: their chunks may take long, or never end."""
        if not self.late:
            self.late = True
            logging.getLogger("longlag").warning(
                "no chunk was answered within %g seconds, but workers are alive: waiting for them", self.lease_seconds
            )

    def _take(self, worker: str, answer: Answer) -> Sums | None:
        """Enter an answer; return the sums that settle the request at once, if it does."""
        lease = self.running.pop(answer.number, None)
        if lease is None:  # of an earlier request
            return None
        if answer.sums is None:
            kind = InputError if answer.user_error else ClusterError
            raise kind(f"{self._described(worker)}: {answer.problem}")
        self.dataset.record_seconds(worker, self.request.kind, answer.seconds / len(lease))
        return self._judge(worker, lease, answer.sums)

    def _judge(self, worker: str, lease: Lease, sums: Sums) -> Sums | None:
        """Enter finite sums. Sums that are not, once confirmed, settle the request: no total can be finite any more."""
        place = (lease.start, lease.stop)
        doubted = self.doubted.get(place)
        if doubted is None and sums.finite:
            self.ledger.enter_answer(lease, sums)
        elif doubted is None and len(self.executor.workers) > 1:
            lease.since, lease.deadline = self.executor.now(), math.inf  # nobody else's until another has looked again
            self.doubted[place] = lease
        elif doubted is not None and doubted.worker == worker:  # its other copy of this lease
            self.ledger.leases.remove(lease)
        elif not sums.finite:
            return sums
        else:
            assert doubted is not None
            raise ClusterError(
                f"{self._described(doubted.worker)} found numbers for {_chunks(lease)} that are not finite, and "
                f"{self._described(worker)} finite ones; one of them is not to be trusted; the parameters are as they "
                "were"
            )
        return None

    def _lose(self, worker: str, reason: str) -> None:
        """Take back what a dead worker had.

        Raises
        ------
        ClusterError
            If the same chunks have cost several workers their lives.
        """
        self.last_loss = f"the last was {self._described(worker)}: {reason}"
        for number, lease in list(self.running.items()):
            if lease.worker == worker:
                del self.running[number]
                hosts = self.deaths.setdefault((lease.start, lease.stop), [])
                hosts.append(self._host(worker))
                if len(hosts) >= MOST_DEATHS and not self._is_one_machine(hosts):
                    raise ClusterError(
                        f"{_chunks(lease)} cost {MOST_DEATHS} workers their lives; {self.last_loss}; the parameters "
                        "are as they were"
                    )
        self.doubted = {place: lease for place, lease in self.doubted.items() if lease.worker != worker}
        self.ledger.worker_lost(worker)

    def _is_one_machine(self, hosts: list[str]) -> bool:
        """Return whether all of them died with one machine, while others run: then it is not the chunks that kill."""
        return len(set(hosts)) == 1 and any(self._host(worker) != hosts[0] for worker in self.executor.workers)

    def _host(self, worker: str) -> str:
        info = self.executor.worker_infos.get(worker)
        return "" if info is None else info.host

    def _described(self, worker: str) -> str:
        """Return the worker's name with its process and host, for an error message."""
        info = self.executor.worker_infos.get(worker)
        return worker if info is None else f"{worker} (process {info.process} on {info.host})"


def _chunks(lease: Lease) -> str:
    return f"chunk {lease.start}" if len(lease) == 1 else f"chunks {lease.start} to {lease.stop - 1}"
