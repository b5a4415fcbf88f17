"""Worker processes that are forks of the test's: they need not load PyTorch, which takes seconds of each.

They are killed, stopped and replaced as others are. That workers start as programs of their own is the subject of
tests/distributed/test_process_life.py and tests/laboratory/harness/test_pool.py, which take no forks.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import traceback
import types
import warnings
from typing import Any

import pytest
import torch

from longlag.distributed import process_handle
from longlag_lab.harness import pool

__all__ = ["fork_workers"]


class Fork(subprocess.Popen):  # type: ignore[type-arg]
    """``Popen([python, "-c", program])``, whose program runs in a fork; descriptors are closed but those passed on."""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, *others: Any) -> None:
        passed = sorted(others[0])
        # What Python warns of: threads that hold a lock now will never release it in the fork. Here they only wait.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if not self.pid:
            _become(args[2], passed)
        self._child_created = True


def _become(program: str, passed: list[int]) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        first = 3
        for descriptor in passed:
            os.closerange(first, descriptor)
            first = descriptor + 1
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))
        exec(program, {"__name__": "__main__"})  # noqa: S102 - as python -c does
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def fork_workers(patch: pytest.MonkeyPatch) -> None:
    """Let ``ProcessExecutor`` and the laboratory's pool fork their workers."""
    if torch.cuda.is_available():  # whose threads do not live on in a fork
        return
    names = {"Popen": Fork, "DEVNULL": subprocess.DEVNULL, "TimeoutExpired": subprocess.TimeoutExpired}
    patch.setattr(process_handle, "subprocess", types.SimpleNamespace(**names))
    patch.setattr(
        pool,
        "multiprocessing",
        types.SimpleNamespace(
            get_context=lambda _: multiprocessing.get_context("fork"), parent_process=multiprocessing.parent_process
        ),
    )
