"""The run record: JSON files that a kill leaves whole, the history of a run, and where it ran.

Every writer here follows one rule: new bytes go to a temporary sibling, are flushed to the disk, and take the
final name in one rename; then the folder itself is flushed, because a rename lives in the folder.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy
import torch

from longlag.errors import CheckpointError, InputError

__all__ = ["JSON", "History", "environment", "write_json", "write_text"]

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | float | int | bool | None"
"""Plain data. What is read equals what was written, so tuples and keys that are not text are refused."""

_DEEPEST = 100  # far below every interpreter's recursion limit, so what can be written can also be read


def _check_plain(value: object, where: str, depth: int = 0) -> None:
    """Raise InputError, naming the place, unless ``value`` is :data:`JSON` with finite numbers."""
    if depth > _DEEPEST:
        raise InputError(f"{where[:60]}... is nested deeper than {_DEEPEST} levels")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InputError(f"{where} has the key {key!r}; expected every key to be text")
            _check_plain(item, f"{where}[{key!r}]", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_plain(item, f"{where}[{index}]", depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{where} is {value}; expected a finite number")
    elif value is not None and not isinstance(value, str | int):
        raise InputError(f"{where} is a {type(value).__name__}; expected dict, list, text, number, bool or None")


def encode_json(document: object, where: str, *, indent: int | None = 2) -> bytes:
    """The one encoding: sorted keys, ASCII, a final newline. InputError names what in it is not JSON."""
    _check_plain(document, where)
    try:
        text = json.dumps(document, sort_keys=True, indent=indent, allow_nan=False)
    except ValueError as error:  # an integer with more digits than Python converts
        raise InputError(f"{where} cannot be written as JSON: {error}") from error
    return text.encode("ascii") + b"\n"


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # 1e999 is valid JSON, and infinity in Python
        raise ValueError(f"{text} is not a finite number")
    return number


def decode_json(data: bytes) -> Any:
    """Parse strict JSON; ValueError for anything else, NaN, Infinity and overflow included."""
    try:
        return json.loads(data.decode("utf-8"), parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals into one sentence, an InputError that names ``path``."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name no file can have
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"{path} cannot be written: {reason}; expected an existing, writable folder with space left"
        ) from error


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def write_file(path: Path, data: bytes) -> None:
    """Create ``path``, which must not exist; return once its bytes are on the disk. OSError if it cannot."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        _write_all(descriptor, data)
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


def _replace_file(path: Path, data: bytes) -> None:
    """Give ``path`` new content in one step: a reader, or a kill, meets the old bytes or the new ones."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        # A rename would silently turn a device or a link into a plain file.
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise InputError(f"{path} cannot be written: it is not a regular file")
        with suppress(FileNotFoundError):  # what a killed writer left
            os.unlink(temporary)
        write_file(temporary, data)
        os.rename(temporary, path)
        sync_directory(path.parent)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def write_json(path: str | os.PathLike[str], document: Mapping[str, JSON]) -> None:
    """Write ``document`` to ``path`` (say, metrics.json): the old file or the new one, at every moment.

    Raises
    ------
    InputError
        If the document is not plain JSON or holds NaN or infinity (the place is named), or if ``path`` cannot
        be written; then the file that was there is untouched, unless only the last flush failed.
    """
    target = Path(path)
    data = encode_json(dict(document), f"{target}: document")
    with writing(target):
        _replace_file(target, data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8: the old file or the new one, at every moment. InputError if it cannot be."""
    target = Path(path)
    with writing(target):
        _replace_file(target, text.encode("utf-8"))


class History:
    """What happened in a run, one JSON object per line, in the order it happened.

    A line counts once its newline is on the disk; a last line without one was cut by a kill and is no entry.

    Parameters
    ----------
    path : the file, usually ``history.jsonl``; it appears with the first entry, in an existing folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def append(self, entry: Mapping[str, JSON]) -> None:
        """Add one entry and return once it is on the disk.

        Raises InputError if the entry is not plain JSON with finite numbers, or the file cannot be written;
        then the entries are those from before.
        """
        line = encode_json(dict(entry), f"{self.path}: entry", indent=None)
        with writing(self.path):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                self._append(descriptor, line)
            finally:
                os.close(descriptor)

    def _append(self, descriptor: int, line: bytes) -> None:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            size = sum(map(len, self._lines()))
            os.ftruncate(descriptor, size)
        try:
            _write_all(descriptor, line)
            os.fsync(descriptor)
            if size == 0:  # the file may be new: its name must survive too
                sync_directory(self.path.parent)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise

    def _lines(self) -> list[bytes]:
        """The whole lines, newlines included."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.path} cannot be read: {error}") from error
        return data[: data.rfind(b"\n") + 1].splitlines(keepends=True)

    def entries(self) -> list[dict[str, Any]]:
        """All entries; none if there is no file yet. CheckpointError names the line that is damaged."""
        found: list[dict[str, Any]] = []
        for number, line in enumerate(self._lines(), start=1):
            try:
                entry = decode_json(line)
            except ValueError as error:
                raise CheckpointError(f"{self.path}, line {number} is damaged: {error}") from error
            if not isinstance(entry, dict):
                raise CheckpointError(f"{self.path}, line {number} is damaged; expected a JSON object")
            found.append(entry)
        return found

    def rewind(self, n_entries: int) -> None:
        """Keep the first ``n_entries`` and drop the rest, in one step: on resume, those the checkpoint knows.

        Raises CheckpointError if the file has fewer entries, InputError if it cannot be written.
        """
        if n_entries < 0:
            raise InputError(f"n_entries is {n_entries}; expected 0 or more")
        lines = self._lines()
        if n_entries > len(lines):
            raise CheckpointError(f"{self.path} has {len(lines)} entries; expected at least {n_entries}")
        kept = b"".join(lines[:n_entries])
        with writing(self.path):
            if os.path.lexists(self.path) and os.path.getsize(self.path) != len(kept):
                _replace_file(self.path, kept)


def environment() -> dict[str, Any]:
    """Versions and machine that a run's bits depend on, as plain JSON; no host name, no user name, no time.

    ``longlag`` is None when the package is not installed, ``commit`` when it does not run from its own
    checkout; ``commit`` ends in ``-dirty`` when tracked files differ from it.
    """
    version: str | None
    try:
        version = importlib.metadata.version("longlag")
    except importlib.metadata.PackageNotFoundError:
        version = None
    return {
        "longlag": version,
        "commit": _commit(Path(__file__).resolve().parents[1]),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "cuda": torch.version.cuda,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _commit(package: Path) -> str | None:
    """The commit of the checkout that ``package`` (…/src/longlag) belongs to, or None."""
    root = package.parent.parent
    # An installed copy may lie inside a user's own repository, whose commit says nothing about this package.
    if package != root / "src" / "longlag" or not (root / ".git").exists():
        return None
    # Inside a git hook GIT_DIR names another repository, and would win over -C.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(
            command,
            env={**variables, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):  # git is not installed, or hangs: the commit is not known
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
