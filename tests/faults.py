"""Strike a writer at each of its operating-system calls in turn, by a kill or by a full disk.

A test file that forks or kills runs itself as a script, in a process of its own: ``run_in_fork(__file__, ...)``, or
``run_as_script`` where that has to be an interpreter of its own.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forked import Program
from longlag.errors import InputError

OPERATIONS = ("open", "write", "fsync", "rename", "mkdir", "rmdir", "unlink", "ftruncate")


def path_of(where: object) -> str:
    """The path that an operation is given, or that of its open file."""
    return os.readlink(f"/proc/self/fd/{where}") if isinstance(where, int) else str(where)


class Fault:
    """Strikes at the ``at``-th operation of ``OPERATIONS`` on a path with ``place`` in it; a write is cut in half.

    Counts until then.
    """

    def __init__(
        self, at: int, moment: str, strike: Callable[[], None], lasting: bool = False, place: str = ""
    ) -> None:
        self.at, self.moment, self.strike, self.lasting, self.place = at, moment, strike, lasting, place
        self.count = 0
        self.real = {name: getattr(os, name) for name in OPERATIONS}

    def __enter__(self) -> Fault:
        for name in OPERATIONS:
            setattr(os, name, self._struck(name))
        return self

    def __exit__(self, *_: object) -> None:
        for name, function in self.real.items():
            setattr(os, name, function)

    def _struck(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.place and self.place not in path_of(arguments[0]):
                return self.real[name](*arguments, **options)
            self.count += 1
            if self.count == self.at or (self.lasting and self.count > self.at):
                if self.moment == "after" and name != "open":  # an open that failed opened nothing
                    self.real[name](*arguments, **options)
                elif name == "write":
                    self.real[name](arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                self.strike()
            return self.real[name](*arguments, **options)

        return call


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def every_fault(
    prepare: Callable[[Path], None],
    act: Callable[[Path], None],
    judge: Callable[[Path, set[str]], None],
) -> None:
    """Strike ``act`` at each operation, four ways. ``judge`` gets the folder and the states it may be in."""
    struck = 0
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # where flushing costs nothing
    ways = [("kill", "before"), ("once", "before"), ("once", "after"), ("for good", "before")]
    for how, moment in ways:
        for at in itertools.count(1):
            with tempfile.TemporaryDirectory(dir=memory) as name:
                place = Path(name)
                prepare(place)
                if how == "kill":
                    child = os.fork()
                    if child == 0:
                        with Fault(at, moment, kill):
                            act(place)
                        os._exit(0)
                    reached = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
                    allowed = {"old", "new"} if reached else {"new"}
                else:
                    fault = Fault(at, moment, disk_full, lasting=how == "for good")
                    try:
                        with fault:
                            act(place)
                        allowed = {"new"}
                    except InputError:
                        allowed = {"old"} if how == "once" else {"old", "new"}
                    reached = fault.count >= at
                judge(place, allowed)
                struck += reached
                if not reached:
                    break
    sys.stdout.write(f"{struck}\n")


def environment() -> dict[str, str]:
    """This process's variables, with which a test file that runs as a script finds the helpers of the tests."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}


def run_as_script(file: str, *arguments: str) -> list[int]:
    """Run a test file as a script; return the numbers that it prints."""
    done = subprocess.run(
        [sys.executable, file, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [int(number) for number in done.stdout.split()]


def run_in_fork(file: str, *arguments: str) -> list[int]:
    """``run_as_script`` in a fork of this process."""
    done = Program(Path(file).read_text(encoding="utf-8"), arguments, file).ended()
    assert done.returncode == 0, done.stderr
    return [int(number) for number in done.stdout.split()]
