"""The directory format of models and checkpoints: manifest.json and *.safetensors. Reading executes nothing.

The manifest holds plain JSON data, the size and SHA-256 of every tensor file, and a digest of itself. The
same content gives the same bytes. A digest detects damage, not malice: whoever can change a file can change
its digest too; but even then reading only parses JSON and copies numbers.

Writing is atomic. Beside ``name`` a writer may use ``.name.lock``, ``.name.new`` (being written) and
``.name.previous`` (the old content between two renames); readers and later writers know these names.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from longlag.errors import CheckpointError, InputError
from longlag.io.files import path_of, sync_directory, write_file, writing
from longlag.io.json import JSON, decode_json, encode_json
from longlag.io.lock import locked

__all__ = ["Kind", "Saved", "read_directory", "remove_directory", "sibling", "write_directory"]

Kind: TypeAlias = Literal["model", "checkpoint"]

_FORMAT: Final = "longlag"
_SCHEMA: Final = 1
_MANIFEST: Final = "manifest.json"
_MANIFEST_LIMIT: Final = 64 * 2**20  # bytes; numbers in bulk belong in tensor files
_TENSOR_FILE: Final = re.compile(r"[a-z0-9_]+\.safetensors")
_FIELDS: Final = {"format", "schema", "kind", "document", "bytes", "sha256", "digest"}
_DTYPES: Final = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.uint8, torch.bool),
)
# A matching digest proves nothing about the writer, so the parser may meet hostile bytes: it refuses them by
# its own error, or trips in its Python half over types and shapes that torch does not have.
_REFUSALS: Final = (SafetensorError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Saved:
    """What a directory holds: its JSON document, and for each ``*.safetensors`` file its tensors by name."""

    document: dict[str, Any]
    files: dict[str, dict[str, Tensor]]


def write_directory(
    path: str | os.PathLike[str],
    *,
    kind: Kind,
    files: Mapping[str, Mapping[str, Tensor]],
    document: Mapping[str, JSON],
) -> None:
    """Write one model or checkpoint; whatever is killed when, ``path`` reads as the old content or the new.

    Parameters
    ----------
    path : the directory to create, or to replace if this function wrote it; its parent must exist.
    kind : what it is; the reader must ask for the same.
    files : tensors by file name (``[a-z0-9_]+.safetensors``) and tensor name; copied, so storage may be
        shared, strided or on a device. Any shape; float16/32/64, bfloat16, int32/64, uint8 or bool.
    document : plain JSON data, see :data:`longlag.io.json.JSON`.

    Raises
    ------
    InputError
        If the content cannot be stored (nothing was touched), if ``path`` is something else than such a
        directory, if another process is writing to it, or if the disk refuses (what was there stays, and
        nothing else is left).
    """
    target = _absolute(path)
    if kind not in get_args(Kind):
        raise InputError(f"kind is {kind!r}; expected one of {', '.join(get_args(Kind))}")
    manifest = {"format": _FORMAT, "schema": _SCHEMA, "kind": kind, "document": dict(document)}
    encode_json(manifest, f"{target}: manifest")  # refuse before anything is written
    for name, tensors in files.items():
        _check_tensors(name, tensors)
    new, previous = sibling(target, "new"), sibling(target, "previous")
    with writing(target), locked(sibling(target, "lock"), target):
        _refuse_foreign(target)
        identity: os.stat_result | None = None
        try:
            remove_directory(new)
            os.mkdir(new)
            identity = os.stat(new)
            _write_content(new, manifest, files)
            if os.path.lexists(target):
                remove_directory(previous)
                os.rename(target, previous)
            os.rename(new, target)
            sync_directory(target.parent)
        except BaseException:
            # An error means that nothing was saved, so take the new content back where a rename put it.
            with suppress(OSError):
                if identity and os.path.lexists(target) and os.path.samestat(identity, os.lstat(target)):
                    os.rename(target, new)
                if not os.path.lexists(target) and os.path.lexists(previous):
                    os.rename(previous, target)
            with suppress(OSError):
                remove_directory(new)
            raise
        with suppress(OSError):  # the new content is safe; a leftover waits for the next writer
            remove_directory(previous)


def read_directory(path: str | os.PathLike[str], *, kind: Kind) -> Saved:
    """Read and verify what :func:`write_directory` wrote; tensors are fresh, contiguous and on the CPU.

    Each tensor file is checked against its SHA-256 before it is parsed. Nothing is unpickled or evaluated.

    Raises
    ------
    CheckpointError
        If ``path`` is missing, not such a directory, of another kind or schema, or damaged in any file.
    """
    target = Path(os.path.abspath(path_of("path", path)))
    while True:
        descriptor = _open_directory(target, kind)
        try:
            return _read_content(descriptor, target, kind)
        except CheckpointError:
            # A writer may have swapped the directory while it was read; if so, read what is there now.
            if not _replaced(descriptor, target):
                raise
        finally:
            os.close(descriptor)


# ---- names, shared with training/checkpoints.py ----


def sibling(target: Path, role: str) -> Path:
    """Return the name beside ``target`` that a writer uses as ``role``: lock, new, previous or old."""
    return target.parent / f".{target.name}.{role}"


def remove_directory(path: Path) -> None:
    """Delete a directory of ours if it is there. OSError if it cannot be."""
    if os.path.lexists(path):
        shutil.rmtree(path)


# ---- writing ----


def _absolute(path: str | os.PathLike[str]) -> Path:
    target = Path(os.path.abspath(path_of("path", path)))
    if not target.name:
        raise InputError(f"{target} is the root folder; expected the name of a directory in it")
    return target


def _check_tensors(name: str, tensors: Mapping[str, Tensor]) -> None:
    if not _TENSOR_FILE.fullmatch(name):
        raise InputError(f"tensor file name {name!r} is not allowed; expected {_TENSOR_FILE.pattern}")
    for key, tensor in tensors.items():
        if not isinstance(key, str) or key == "__metadata__" or not key.isprintable():
            raise InputError(f"tensor name {key!r} in {name} is not allowed; expected printable text")
        if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta:
            raise InputError(f"{key!r} in {name} is a {type(tensor).__name__}; expected a dense tensor with values")
        if tensor.dtype not in _DTYPES:
            raise InputError(f"tensor {key!r} in {name} is {tensor.dtype}; expected one of {_dtype_names()}")


def _dtype_names() -> str:
    return ", ".join(str(dtype).removeprefix("torch.") for dtype in _DTYPES)


def _refuse_foreign(target: Path) -> None:
    """Never replace what this module did not write: a mistyped path could be a home directory."""
    if not os.path.lexists(target):
        return
    if stat.S_ISDIR(os.lstat(target).st_mode):
        names = set(os.listdir(target))
        if not names or (_MANIFEST in names and all(map(_TENSOR_FILE.fullmatch, names - {_MANIFEST}))):
            return
    raise InputError(f"{target} exists and is not a {_FORMAT} directory; expected a name that is free")


def _write_content(new: Path, manifest: dict[str, Any], files: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Fill the empty directory ``new`` and return once all of it is on the disk."""
    sizes: dict[str, int] = {}
    digests: dict[str, str] = {}
    for name, tensors in files.items():
        # clone: safetensors refuses tensors that share memory, and training may go on while we write
        copies = {
            key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, tensor in sorted(tensors.items())
        }
        data = safetensors.torch.save(copies)
        write_file(new / name, data)
        sizes[name], digests[name] = len(data), _sha256(data)
    manifest = {**manifest, "bytes": sizes, "sha256": digests}
    manifest["digest"] = _sha256(encode_json(manifest, "manifest"))
    data = encode_json(manifest, "manifest")
    if len(data) > _MANIFEST_LIMIT:
        raise InputError(f"document takes {len(data)} bytes; expected at most {_MANIFEST_LIMIT}")
    write_file(new / _MANIFEST, data)
    sync_directory(new)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---- reading ----


def _open_directory(target: Path, kind: Kind) -> int:
    # The third try is for a writer that put the new directory in place after our first.
    for candidate in (target, sibling(target, "previous"), target):
        try:
            return os.open(candidate, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:  # ValueError: a name no file can have
            if os.path.isfile(candidate):
                raise CheckpointError(
                    f"{target} is a file, not a {_FORMAT} {kind} directory; pickle files are never opened"
                ) from error
            raise CheckpointError(f"{target} is not a {_FORMAT} {kind} directory: {error}") from error
    raise CheckpointError(f"{target} does not exist; expected a {_FORMAT} {kind} directory")


def _replaced(descriptor: int, target: Path) -> bool:
    for candidate in (target, sibling(target, "previous"), target):
        with suppress(OSError):
            return not os.path.samestat(os.fstat(descriptor), os.stat(candidate))
    return False


def _read_content(descriptor: int, target: Path, kind: Kind) -> Saved:
    manifest = _read_manifest(descriptor, target, kind)
    sizes, digests = manifest["bytes"], manifest["sha256"]
    try:
        unexpected = set(os.listdir(descriptor)) - {_MANIFEST} - set(digests)
    except OSError as error:
        raise CheckpointError(f"{target} cannot be listed: {error.strerror}") from error
    if unexpected:
        raise CheckpointError(f"{target} holds {min(unexpected)!r}, which its {_MANIFEST} does not name")
    files: dict[str, dict[str, Tensor]] = {}
    for name, digest in sorted(digests.items()):
        data = _read_file(descriptor, target, name, sizes[name])
        if len(data) != sizes[name]:
            raise CheckpointError(f"{target}: {name} has {len(data)} bytes; expected {sizes[name]}")
        if _sha256(data) != digest:
            raise CheckpointError(f"{target}: {name} is damaged; expected SHA-256 {digest}")
        files[name] = _parse_tensors(data, f"{target}: {name}")
    return Saved(manifest["document"], files)


def _read_file(descriptor: int, target: Path, name: str, limit: int) -> bytes:
    """Return the bytes of a regular file of at most ``limit`` bytes, in the directory ``descriptor`` itself."""
    try:
        # NONBLOCK: opening a named pipe must not wait for someone to write to it
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        if not stat.S_ISREG(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
            raise CheckpointError(f"{target}: {name} is a link or device; expected a regular file")
        with os.fdopen(os.open(name, flags, dir_fd=descriptor), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise CheckpointError(f"{target}: {name} has {size} bytes; expected at most {limit}")
            return file.read(size)
    except FileNotFoundError as error:
        raise CheckpointError(f"{target}: {name} is missing; expected a {_FORMAT} directory") from error
    except OSError as error:
        raise CheckpointError(f"{target}: {name} cannot be read: {error.strerror}") from error
    except MemoryError as error:
        raise CheckpointError(f"{target}: {name} does not fit into memory") from error


def _read_manifest(descriptor: int, target: Path, kind: Kind) -> dict[str, Any]:
    data = _read_file(descriptor, target, _MANIFEST, _MANIFEST_LIMIT)
    where = f"{target}: {_MANIFEST}"
    try:
        manifest = decode_json(data)
    except ValueError as error:
        raise CheckpointError(f"{where} is damaged; expected JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise CheckpointError(f"{where} is not of this package; expected format {_FORMAT!r}")
    schema = manifest.get("schema")
    if type(schema) is not int or schema != _SCHEMA:
        raise CheckpointError(f"{where} has schema {schema!r}; expected {_SCHEMA}")
    content = {field: value for field, value in manifest.items() if field != "digest"}
    try:
        expected = encode_json({**content, "digest": _sha256(encode_json(content, where))}, where)
    except InputError as error:
        raise CheckpointError(f"{where} is damaged: {error}") from error
    # Comparing all bytes, not only the digest, leaves none unprotected: spaces, escapes, repeated keys.
    if data != expected:
        raise CheckpointError(f"{where} is damaged; expected it to match its own digest")
    if manifest.get("kind") != kind:
        raise CheckpointError(f"{where} describes a {manifest.get('kind')!r}; expected a {kind!r}")
    if manifest.keys() != _FIELDS or not isinstance(manifest["document"], dict):
        raise CheckpointError(f"{where} has the wrong fields; expected {', '.join(sorted(_FIELDS))}")
    sizes, digests = manifest["bytes"], manifest["sha256"]
    if not (isinstance(sizes, dict) and isinstance(digests, dict) and sizes.keys() == digests.keys()):
        raise CheckpointError(f"{where} lists its files wrongly; expected a size and a SHA-256 for each")
    for name in digests:
        if not _TENSOR_FILE.fullmatch(name):
            raise CheckpointError(f"{where} names the file {name!r}; expected {_TENSOR_FILE.pattern}")
        if type(sizes[name]) is not int or sizes[name] < 0:
            raise CheckpointError(f"{where} gives {name} the size {sizes[name]!r}; expected a count of bytes")
    return manifest


def _parse_tensors(data: bytes, where: str) -> dict[str, Tensor]:
    try:
        with torch.device("cpu"):  # safetensors makes tensors without numbers on torch's default device
            parsed = safetensors.torch.load(data)
    except _REFUSALS as error:
        raise CheckpointError(f"{where} is not a valid safetensors file: {error}") from error
    tensors: dict[str, Tensor] = {}
    for key, tensor in sorted(parsed.items()):
        if tensor.dtype not in _DTYPES:
            raise CheckpointError(f"{where} has {key!r} as {tensor.dtype}; expected one of {_dtype_names()}")
        if tensor.dtype == torch.bool and bool((tensor.view(torch.uint8) > 1).any()):
            raise CheckpointError(f"{where} has {key!r} as bool with other bytes; expected only 0 and 1")
        # clone into memory that torch aligned: the last bit of a matrix product may depend on alignment
        tensors[key] = tensor.clone()
    return tensors
