"""A lock that makes a process the only writer of a path; it dies with the process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from longlag.errors import InputError

__all__ = ["locked"]

_held: set[int] = set()


def _close_inherited() -> None:
    # A forked worker shares the parent's lock; unless it lets go, the lock outlives a killed parent.
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_inherited)


@contextmanager
def locked(lock: Path, target: Path) -> Iterator[None]:
    """Be the only writer of ``target``; the lock dies with the process. InputError if there is another."""
    descriptor = _acquire(lock, target)
    _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:  # else this is a forked child, and the lock is its parent's
            _held.remove(descriptor)
            with suppress(OSError):
                os.unlink(lock)
            os.close(descriptor)


def _acquire(lock: Path, target: Path) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.lstat(lock)):
                return descriptor
        except FileNotFoundError:  # its last holder removed it after we opened it
            pass
        except BlockingIOError:
            os.close(descriptor)
            raise InputError(f"another process is writing to {target}; expected one writer at a time") from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
