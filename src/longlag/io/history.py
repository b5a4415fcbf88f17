"""The history of a run: one JSON object per line, in the order in which things happened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from longlag.checks import whole_number
from longlag.errors import CheckpointError
from longlag.io.files import path_of, replace_file, sync_directory, write_all, writing
from longlag.io.json import JSON, decode_json, encode_json

__all__ = ["History"]


class History:
    """What happened in a run, one JSON object per line, in the order it happened.

    A line counts once its newline is on the disk; a last line without one was cut by a kill and is no entry.

    Parameters
    ----------
    path : the file, usually ``history.jsonl``; it appears with the first entry, in an existing folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path_of("path", path)

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
            write_all(descriptor, line)
            os.fsync(descriptor)
            if size == 0:  # the file may be new: its name must survive too
                sync_directory(self.path.parent)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise

    def _lines(self) -> list[bytes]:
        """Return the whole lines, newlines included."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.path} cannot be read: {error}") from error
        return data[: data.rfind(b"\n") + 1].splitlines(keepends=True)

    def entries(self) -> list[dict[str, Any]]:
        """Return all entries; none if there is no file yet. CheckpointError names the line that is damaged."""
        entries: list[dict[str, Any]] = []
        for number, line in enumerate(self._lines(), start=1):
            try:
                entry = decode_json(line)
            except ValueError as error:
                raise CheckpointError(f"{self.path}, line {number} is damaged: {error}") from error
            if not isinstance(entry, dict):
                raise CheckpointError(f"{self.path}, line {number} is damaged; expected a JSON object")
            entries.append(entry)
        return entries

    def rewind(self, n_entries: int) -> None:
        """Keep the first ``n_entries`` and drop the rest, in one step: on resume, those the checkpoint knows.

        Raises CheckpointError if the file has fewer entries, InputError if it cannot be written.
        """
        whole_number("n_entries", n_entries, 0)
        lines = self._lines()
        if n_entries > len(lines):
            raise CheckpointError(f"{self.path} has {len(lines)} entries; expected at least {n_entries}")
        whole = b"".join(lines[:n_entries])
        with writing(self.path):
            if os.path.lexists(self.path) and os.path.getsize(self.path) != len(whole):
                replace_file(self.path, whole)
