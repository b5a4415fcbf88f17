"""The checkpoints of one run: the newest few whole states, each a directory of its own."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from torch import Tensor

from longlag.checks import whole_number
from longlag.errors import CheckpointError, InputError
from longlag.io.directory import Saved, read_directory, remove_directory, sibling, write_directory
from longlag.io.files import path_of, sync_directory, writing
from longlag.io.json import JSON
from longlag.io.lock import locked

__all__ = ["Checkpoints", "DamagedCheckpointWarning"]

_STEP: Final = re.compile(r"step-([0-9]{8,})")
_LEFTOVER: Final = re.compile(r"\.(step-[0-9]{8,})\.(new|previous|lock|old)")


class DamagedCheckpointWarning(UserWarning):
    """A checkpoint could not be used; the message names it, and the one that is used instead."""


def _warn(message: str) -> None:
    warnings.warn(message, DamagedCheckpointWarning, stacklevel=3)


class Checkpoints:
    """A folder of directories ``step-00000012``; saving adds one, then removes all but the newest ``keep``.

    One process may write at a time: the first save, or entering ``with``, takes a lock that ends with
    :meth:`close`, the ``with`` block, or the process. Reading needs no lock.

    Parameters
    ----------
    directory : the folder; made by the first save, in an existing parent.
    keep : how many checkpoints stay; two, so that a damaged newest one costs some steps and not the run.
    warn : called with one sentence for each damaged checkpoint that was passed over;
        by default it issues a :class:`DamagedCheckpointWarning`.

    Raises
    ------
    InputError
        If ``keep`` is less than one.
    """

    def __init__(self, directory: str | os.PathLike[str], keep: int = 2, warn: Callable[[str], None] = _warn) -> None:
        whole_number("keep", keep, 1)
        self.directory = path_of("directory", directory)
        self.keep = keep
        self._warn = warn
        self._lock: ExitStack | None = None
        self._damaged: set[int] = set()

    def __enter__(self) -> Self:
        self._acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another process write. A later save takes the lock again."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _acquire(self) -> None:
        """Make the folder and take the lock, unless this object holds it. InputError if it cannot."""
        if self._lock is not None:
            return
        with writing(self.directory), ExitStack() as stack:
            with suppress(FileExistsError):
                os.mkdir(self.directory)
                sync_directory(self.directory.parent)
            stack.enter_context(locked(self.directory / "lock", self.directory))
            self._lock = stack.pop_all()

    def _path(self, step: int) -> Path:
        return self.directory / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, whole or not, oldest first. CheckpointError if not a folder."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.directory} is not a folder of checkpoints: {error}") from error
        steps = set()
        for name in names:
            leftover = _LEFTOVER.fullmatch(name)
            # .step-N.previous is step N whole, if a kill came between the two renames of a replacement
            match = _STEP.fullmatch(leftover[1] if leftover and leftover[2] == "previous" else name)
            if match and self._path(int(match[1])).name == match[0]:
                steps.add(int(match[1]))
        return sorted(steps)

    def save(self, step: int, files: Mapping[str, Mapping[str, Tensor]], document: Mapping[str, JSON]) -> None:
        """Write the checkpoint of ``step``, or replace it, then remove those that are no longer kept.

        Parameters are those of :func:`longlag.io.directory.write_directory`.

        Raises
        ------
        InputError
            If ``step`` is negative or earlier than a checkpoint that is there (another run's, then), if
            another process is writing to the folder, or if the content or the disk refuses; every checkpoint
            then stays.
        """
        whole_number("step", step, 0)
        self._acquire()
        later = [other for other in self.steps() if other > step]
        if any(other not in self._damaged for other in later):
            raise InputError(
                f"{self.directory} already holds step {later[-1]}, but step {step} was to be saved; "
                "expected to resume from the newest checkpoint or to start in another folder"
            )
        with writing(self.directory):
            self._clean()
            write_directory(self._path(step), kind="checkpoint", files=files, document=document)
            self._damaged.discard(step)
            # later ones are damaged: training went on from before them, and has now been saved
            for other in (*[known for known in self.steps() if known <= step][: -self.keep], *later):
                self._remove(other)

    def clear(self) -> None:
        """Remove all checkpoints. InputError if another process is writing to the folder, or the disk refuses."""
        self._acquire()
        with writing(self.directory):
            self._clean()
            for step in self.steps():
                self._remove(step)

    def _remove(self, step: int) -> None:
        old = sibling(self._path(step), "old")  # a removal cut short must not look like a damaged checkpoint
        os.rename(self._path(step), old)
        remove_directory(old)

    def _clean(self) -> None:
        """Remove what a killed writer left; this process holds the lock, so nobody is using it."""
        for name in sorted(os.listdir(self.directory)):
            leftover = _LEFTOVER.fullmatch(name)
            if not leftover:
                continue
            path, final = self.directory / name, self.directory / leftover[1]
            if leftover[2] == "lock":
                os.unlink(path)
            elif leftover[2] == "previous" and not os.path.lexists(final):
                os.rename(path, final)
            else:
                remove_directory(path)

    def latest(self) -> tuple[int, Saved] | None:
        """The newest whole checkpoint and its step; None if there is none at all.

        Raises
        ------
        CheckpointError
            If every checkpoint is damaged; each is named.
        """
        reasons: list[str] = []
        for step in reversed(self.steps()):
            try:
                saved = read_directory(self._path(step), kind="checkpoint")
            except CheckpointError as error:
                if step not in self.steps():  # another process saved a newer one and removed this
                    return self.latest()
                self._damaged.add(step)
                reasons.append(str(error))
                continue
            for reason in reasons:
                self._warn(f"{reason}; the checkpoint of step {step} is used instead")
            return step, saved
        if reasons:
            raise CheckpointError(f"{self.directory} has no whole checkpoint: {'; '.join(reasons)}")
        return None
