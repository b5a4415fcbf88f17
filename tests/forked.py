"""Processes that are forks of the test's: they need not load PyTorch, which takes seconds of each.

They are killed, stopped and replaced as others are. That workers start as programs of their own is the subject of
tests/distributed/test_process_life.py and tests/laboratory/harness/test_pool.py, where none is a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import traceback
import types
import warnings
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from longlag.distributed import process_handle
from longlag_lab.harness import pool

__all__ = ["Program", "fork_workers"]


class Fork(subprocess.Popen):  # type: ignore[type-arg]
    """``Popen([python, "-c", program])``, whose program runs in a fork; descriptors are closed but those passed on."""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, *others: Any) -> None:
        passed = sorted(others[0])
        self.pid = _fork()
        if not self.pid:
            os.setpgid(0, 0)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            first = 3
            for descriptor in passed:
                os.closerange(first, descriptor)
                first = descriptor + 1
            os.closerange(first, os.sysconf("SC_OPEN_MAX"))
            _become(args[2], "<string>")
        self._child_created = True


class Program:
    """What ``python FILE ARGUMENTS`` does, in a fork that has begun; ``program`` is the file's content."""

    def __init__(self, program: str, arguments: Sequence[str] = (), file: str = "<string>") -> None:
        self._out, self._err = (tempfile.TemporaryFile("w+") for _ in range(2))  # noqa: SIM115 - ended closes them
        self._pid = _fork()
        if not self._pid:
            os.dup2(self._out.fileno(), 1)
            os.dup2(self._err.fileno(), 2)
            sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
            sys.argv = [file, *arguments]
            _become(program, file)

    def ended(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end."""
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        texts = []
        for file in (self._out, self._err):
            with file:
                file.seek(0)
                texts.append(file.read())
        return subprocess.CompletedProcess([], code, *texts)


def _fork() -> int:
    # What Python warns of: a lock that another thread holds now is never released in the fork. Here threads only wait.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _become(program: str, file: str) -> None:
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        exec(compile(program, file, "exec"), {"__name__": "__main__", "__file__": file})  # noqa: S102 - as python does
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
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
