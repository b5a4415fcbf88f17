"""An executor whose workers die, stop, are late, answer twice and join as chance has it, in simulated time."""

import random
from dataclasses import replace

from longlag.distributed.executor import Executor
from longlag.distributed.messages import Alive, Answered, Handle, Joined, Lost, StartFailed
from longlag.distributed.worker import Worker, worker_info


class Simulated(Executor):
    """Everything that happens follows from ``seed``.

    die, late, freeze, twice, join : probabilities, for each task, that its worker dies at it, needs longer than a
    lease, is stopped for ever, answers twice (the second time late), and that another worker joins meanwhile. All that
    live answer pings, but for the frozen.
    """

    def __init__(self, seed, workers, *, die=0.0, late=0.0, freeze=0.0, twice=0.0, join=0.0, corrupt=()):
        super().__init__()
        self.chance = random.Random(seed)
        self.die, self.late, self.freeze, self.twice, self.join = die, late, freeze, twice, join
        self.frozen = set()
        self.pings = 0
        self.corrupt = dict(corrupt)  # worker: what becomes of its answers' sums
        self.clock = 0.0
        self.coming = []  # (time, tie, event)
        self.made = 0
        self.crew = {}
        self.busy = {}  # worker: number of the task it is at
        self.log = []
        for _ in range(workers):
            self._hire(0.0)

    def _hire(self, delay):
        self.made += 1
        name = f"worker {self.made}"
        self.crew[name] = Worker(self, keep=self.chance.choice([0, 1 << 20]))
        self._later(delay, Joined(name, worker_info()))

    def _later(self, delay, event):
        self.coming.append((self.clock + delay, len(self.log), event))
        self.log.append(event)

    @property
    def expecting(self):
        return bool(self.coming)

    def now(self):
        return self.clock

    def read(self, handle):
        return handle.location

    def share(self, groups):
        return [Handle(self.next_number(), list(tensors)) for tensors in groups]

    def release(self, handles):
        numbers = {handle.number for handle in handles}
        for worker in self.crew.values():
            worker.forget(numbers)

    def _submit(self, worker, task):
        chance, slow = self.chance, 1 + int(worker.split()[1]) % 3
        assert worker not in self.busy, f"{worker} was given a task while it is at another"
        self.busy[worker] = task.number
        if chance.random() < self.join and self.made < 12:
            self._hire(chance.random())
        if chance.random() < self.die:
            self._later(chance.random(), Lost(worker, "it was killed"))
            return
        answer = self.crew[worker].answer(task)
        if worker in self.corrupt and answer.sums is not None:
            answer = replace(answer, sums=self.corrupt[worker](answer.sums))
        seconds = slow * chance.uniform(0.05, 0.15) * (task.stop - task.start)
        answer = replace(answer, seconds=seconds)
        if chance.random() < self.freeze:
            self.frozen.add(worker)
            return
        if chance.random() < self.late:
            seconds += chance.uniform(1, 40)
        self._later(seconds, Answered(worker, answer))
        if chance.random() < self.twice:
            self._later(seconds + chance.uniform(0, 5), Answered(worker, answer))

    def _ping(self, worker):
        self.pings += 1
        if worker not in self.frozen:
            self._later(self.chance.uniform(0.0, 0.5), Alive(worker))

    def _wait(self, seconds):
        if not self.coming:
            self.clock += seconds
            return []
        first = min(entry[:2] for entry in self.coming)
        if first[0] > self.clock + seconds:
            self.clock += seconds
            return []
        self.clock = max(self.clock, first[0])
        found = [entry for entry in self.coming if entry[0] <= self.clock]
        self.coming = [entry for entry in self.coming if entry[0] > self.clock]
        events = [event for _, _, event in sorted(found, key=lambda entry: entry[:2])]
        gone = set()
        kept = []
        for event in events:
            if isinstance(event, Lost):
                if event.worker not in self.crew:
                    continue
                gone.add(event.worker)
                del self.crew[event.worker]
            elif not isinstance(event, StartFailed) and (event.worker in gone or event.worker not in self.crew):
                continue  # the dead say nothing
            elif isinstance(event, Answered) and self.busy.get(event.worker) == event.answer.number:
                del self.busy[event.worker]
            kept.append(event)
        return kept

    def _dismiss(self, worker):
        raise AssertionError("all run this process's versions")

    def _close(self):
        self.coming = []
