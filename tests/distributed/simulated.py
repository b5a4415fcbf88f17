"""An executor whose workers die, stop, are late, answer twice and join as chance has it, in simulated time."""

import random
from dataclasses import replace

from longlag.distributed.executor import Executor
from longlag.distributed.question import Answered, Failed, Handle, Joined, Lost
from longlag.distributed.worker import Worker, greeting


class Simulated(Executor):
    """Everything that happens follows from ``seed``.

    die, stop, twice, join : probabilities, for each task, that its worker dies at it, is stopped for longer than a
    lease, answers twice (the second time late), and that another worker joins meanwhile.
    """

    def __init__(self, seed, workers, *, die=0.0, stop=0.0, twice=0.0, join=0.0, corrupt=()):
        super().__init__()
        self.chance = random.Random(seed)
        self.die, self.stop, self.twice, self.join = die, stop, twice, join
        self.corrupt = dict(corrupt)  # worker: what becomes of its answers' sums
        self.clock = 0.0
        self.coming = []  # (time, tie, event)
        self.made = 0
        self.workers = {}
        self.busy = {}  # worker: number of the task it is at
        self.log = []
        for _ in range(workers):
            self._hire(0.0)

    def _hire(self, delay):
        self.made += 1
        name = f"worker {self.made}"
        self.workers[name] = Worker(self, keep=self.chance.choice([0, 1 << 20]))
        self._later(delay, Joined(name, greeting()))

    def _later(self, delay, event):
        self.coming.append((self.clock + delay, len(self.log), event))
        self.log.append(event)

    @property
    def hopeful(self):
        return bool(self.coming)

    def now(self):
        return self.clock

    def read(self, handle):
        return handle.where

    def share(self, groups):
        return [Handle(self.numbered(), list(tensors)) for tensors in groups]

    def release(self, handles):
        numbers = {handle.number for handle in handles}
        for worker in self.workers.values():
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
        answer = self.workers[worker].answer(task)
        if worker in self.corrupt and answer.sums is not None:
            answer = replace(answer, sums=self.corrupt[worker](answer.sums))
        seconds = slow * chance.uniform(0.05, 0.15) * (task.stop - task.start)
        answer = replace(answer, seconds=seconds)
        if chance.random() < self.stop:
            seconds += chance.uniform(1, 40)
        self._later(seconds, Answered(worker, answer))
        if chance.random() < self.twice:
            self._later(seconds + chance.uniform(0, 5), Answered(worker, answer))

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
                if event.worker not in self.workers:
                    continue
                gone.add(event.worker)
                del self.workers[event.worker]
            elif not isinstance(event, Failed) and (event.worker in gone or event.worker not in self.workers):
                continue  # the dead say nothing
            elif isinstance(event, Answered) and self.busy.get(event.worker) == event.answer.number:
                del self.busy[event.worker]
            kept.append(event)
        return kept

    def _dismiss(self, worker):
        raise AssertionError("all run this process's versions")

    def _close(self):
        self.coming = []
