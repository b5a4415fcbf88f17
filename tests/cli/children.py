"""The longlag command in a process of its own, which is killed or interrupted at a place that no clock decides."""

from __future__ import annotations

import signal
import subprocess
import sys

from faults import environment
from forked import Program

# A checkpoint after every batch, which changes no bit of the result.
KILLED = """
import sys
from faults import Fault, kill
from longlag.cli.main import main
from longlag.forecasting.simple import SIMPLE
from longlag.training.run import Run
from stand_ins import STAND_INS
SIMPLE.update(STAND_INS)
place, at, moment = sys.argv.pop(1), int(sys.argv.pop(1)), sys.argv.pop(1)
Run.is_due = lambda self: True
with Fault(at, moment, kill, place=place):
    main()
"""

# A program that a shell starts in the background ignores Ctrl-C, and so do those that it starts.
INTERRUPTED = """
import signal
from longlag.cli.main import main
from longlag.training.run import Run
signal.signal(signal.SIGINT, signal.default_int_handler)
batches = []
def is_due(self):
    batches.append(1)
    if len(batches) == 5:
        signal.raise_signal(signal.SIGINT)
    return True
Run.is_due = is_due
main()
"""


def longlag_killed(place: str, at: int, moment: str, *words: object) -> bool:
    """Run the command until its ``at``-th operation on a path with ``place`` in it, before or after which it is killed.

    Operations are those of ``faults.OPERATIONS``. Whether it came to that; else it has ended well.
    """
    child = Program(KILLED, [str(word) for word in (place, at, moment, *words)]).ended()
    assert child.returncode in (-signal.SIGKILL, 0), child.stderr
    assert child.stderr == ""
    return child.returncode != 0


def longlag_interrupted(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command and press Ctrl-C, as it were, after its fifth batch."""
    command = [sys.executable, "-c", INTERRUPTED, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
