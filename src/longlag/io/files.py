"""Files that a kill leaves whole.

Every writer follows one rule: new bytes go to a temporary sibling, are flushed to the disk, and take the final name in
one rename; then the folder itself is flushed, because a rename lives in the folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from longlag.errors import InputError, InputTypeError

__all__ = ["path_of", "replace_file", "sync_directory", "write_all", "write_file", "write_text", "writing"]

_EXPECTED = "expected an existing, writable folder"


def path_of(name: str, value: Any) -> Path:
    """Return ``value`` as a Path. InputTypeError if nothing can be named by it; ``name`` says what it was to be."""
    try:
        return Path(value)
    except TypeError as error:
        raise InputTypeError(f"{name} is {value!r}; expected a path") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals into one sentence, an InputError that names ``path``."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name no file can have
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path} cannot be written: {reason}; {_EXPECTED} with space left") from error


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``; the system may take less than it is handed. OSError if it cannot."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def write_file(path: Path, data: bytes) -> None:
    """Create ``path``, which must not exist; return once its bytes are on the disk. OSError if it cannot."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Return once the names in folder ``path`` are on the disk. OSError if they cannot be."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Give ``path`` new content in one step: a reader, or a kill, meets the old bytes or the new ones."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        # A rename would silently turn a device or a link into a plain file.
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise InputError(f"{path} cannot be written: it is not a regular file; {_EXPECTED}, and a name in it")
        with suppress(FileNotFoundError):  # what a killed writer left
            os.unlink(temporary)
        write_file(temporary, data)
        os.rename(temporary, path)
        sync_directory(path.parent)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8: the old file or the new one, at every moment. InputError if it cannot be."""
    target = path_of("path", path)
    with writing(target):
        replace_file(target, text.encode("utf-8"))
