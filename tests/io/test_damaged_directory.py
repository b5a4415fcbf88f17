"""A directory that is damaged or hostile is refused by a typed error; reading executes nothing."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from directories import assert_same, content, forge, forge_tensors, read

from faults import run_as_script
from longlag.errors import CheckpointError

# ---- damage ----


def damaged(path: Path, file: str, versions: Iterator[bytes]) -> int:
    """Every version of ``file`` must be refused, in one sentence that names it; how many were tried."""
    whole = (path / file).read_bytes()
    count = 0
    for version in versions:
        count += 1
        (path / file).write_bytes(version)
        with pytest.raises(CheckpointError) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert file in str(caught.value)
    (path / file).write_bytes(whole)
    read(path)
    return count


def flips(data: bytes, positions: list[int]) -> Iterator[bytes]:
    for position in positions:
        for mask in (0x01, 0x20, 0x80):
            yield data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]


@pytest.mark.costly
def test_a_flipped_bit_in_any_byte_of_the_manifest_is_found(model: Path) -> None:
    data = (model / "manifest.json").read_bytes()
    assert damaged(model, "manifest.json", flips(data, list(range(len(data))))) == 3 * len(data)


def test_a_flipped_bit_in_a_tensor_file_is_found_in_header_and_data(model: Path) -> None:
    for name in ("model.safetensors", "optimiser.safetensors"):
        data = (model / name).read_bytes()
        positions = [*range(0, len(data), 7), len(data) - 1]
        assert damaged(model, name, flips(data, positions)) == 3 * len(positions)


def test_a_file_cut_at_any_length_or_with_bytes_added_is_found(model: Path) -> None:
    manifest = (model / "manifest.json").read_bytes()
    damaged(model, "manifest.json", (manifest[:n] for n in range(len(manifest))))
    damaged(model, "manifest.json", (manifest + more for more in (b"\n", b" ", b"x", b"\0")))
    tensor = (model / "model.safetensors").read_bytes()
    damaged(model, "model.safetensors", (tensor[:n] for n in range(0, len(tensor), 5)))
    damaged(model, "model.safetensors", iter([tensor + b"\0"]))


def test_a_file_that_was_cut_is_told_from_one_that_was_changed(model: Path) -> None:
    size = (model / "model.safetensors").stat().st_size
    os.truncate(model / "model.safetensors", size - 1)
    with pytest.raises(CheckpointError, match=f"model.safetensors has {size - 1} bytes; expected {size}"):
        read(model)


def test_a_missing_or_extra_file_is_found(model: Path) -> None:
    (model / "extra.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"holds 'extra.safetensors', which its manifest.json does not name"):
        read(model)
    (model / "extra.safetensors").unlink()
    (model / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors is missing"):
        read(model)


@pytest.mark.parametrize("name", ["manifest.json", "model.safetensors"])
@pytest.mark.parametrize("what", ["link", "dangling", "pipe", "folder", "device"])
def test_anything_but_a_regular_file_is_refused_without_waiting(model: Path, name: str, what: str) -> None:
    elsewhere = model.parent / "elsewhere"
    shutil.move(model / name, elsewhere)
    if what == "link":
        os.symlink(elsewhere, model / name)
    elif what == "dangling":
        os.symlink("nowhere", model / name)
    elif what == "pipe":
        os.mkfifo(model / name)
    elif what == "folder":
        (model / name).mkdir()
    else:
        os.symlink("/dev/zero", model / name)
    with pytest.raises(CheckpointError, match=f"{name} is a link or device; expected a regular file"):
        read(model)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": "other"}, "expected format 'longlag'"),
        ({"schema": 2}, "has schema 2; expected 1"),
        ({"schema": True}, "has schema True; expected 1"),
        ({"kind": "checkpoint"}, "describes a 'checkpoint'; expected a 'model'"),
        ({"document": []}, "wrong fields"),
        ({"surprise": 1}, "wrong fields"),
        ({"bytes": {}}, "lists its files wrongly"),
        ({"sha256": ["a"]}, "lists its files wrongly"),
        ({"bytes": {"m.safetensors": -1}, "sha256": {"m.safetensors": ""}}, "the size -1"),
        ({"bytes": {"m.safetensors": 1e3}, "sha256": {"m.safetensors": ""}}, "the size 1000.0"),
        (
            {"bytes": {"model.safetensors": 10**18}, "sha256": {"model.safetensors": None}},
            "optimiser.safetensors",
        ),
    ],
)
def test_a_manifest_of_another_format_schema_kind_or_shape_is_refused_in_one_sentence(
    model: Path, changes: dict[str, Any], sentence: str
) -> None:
    forge(model, **changes)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        read(model)
    assert str(model) in str(caught.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_in_a_manifest_is_refused(model: Path, number: str) -> None:
    text = (model / "manifest.json").read_text()
    (model / "manifest.json").write_text(text.replace("0.1", number))
    with pytest.raises(CheckpointError, match="damaged; expected JSON"):
        read(model)


# ---- hostile files ----


class Bomb:
    """Unpickling this leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def bombs(target: Path) -> dict[str, bytes]:
    buffer = io.BytesIO()
    torch.save({"w": Bomb(target)}, buffer)
    return {"raw": pickle.dumps(Bomb(target)), "zip": buffer.getvalue()}


@pytest.mark.parametrize("form", ["raw", "zip"])
def test_a_pickle_file_is_refused_unopened_and_one_inside_a_directory_unread(model: Path, form: str) -> None:
    exploded = model.parent / "exploded"
    bomb = bombs(exploded)[form]
    file = model.parent / "model.pt"
    file.write_bytes(bomb)
    with pytest.raises(CheckpointError, match=r"not a longlag model directory; pickle files are never opened"):
        read(file)
    forge_tensors(model, bomb)
    with pytest.raises(CheckpointError, match=r"m\.safetensors is not a valid safetensors file"):
        read(model)
    assert not exploded.exists()
    pickle.loads(bombs(exploded)["raw"])  # noqa: S301 - the control: this file is dangerous
    assert exploded.exists(), "the bomb was a dud"


def header(fields: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(fields).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: str, shape: list[int], size: int) -> dict[str, Any]:
    return {"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}


HOSTILE = {
    "empty": b"",
    "huge header": b"\xff" * 8,
    "header of 99 MB": (99_000_000).to_bytes(8, "little") + b"{}",
    "no JSON": header({})[:8] + b"\xff\xff",
    "deep header": (200_000).to_bytes(8, "little") + b"[" * 200_000,
    "hole": header(entry("F32", [1], 4), b"\0" * 8),
    "overlap": header({**entry("U8", [1], 1), "v": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}, b"\0"),
    "overflowing shape": header(entry("F32", [2**63, 2**63, 0], 0)),
    "shape beyond int64": header(entry("F32", [2**63, 0], 0)),
    "negative shape": header(entry("F32", [-1], 4), b"\0" * 4),
    "unknown dtype": header(entry("F8_E8M0", [1], 1), b"\0"),
    "dtype we do not write": header(entry("I8", [1], 1), b"\0"),
    "bool of 7": header(entry("BOOL", [1], 1), b"\7"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tensor_file_under_a_matching_digest_is_refused(model: Path, name: str) -> None:
    forge_tensors(model, HOSTILE[name])
    with pytest.raises(CheckpointError, match=r"m\.safetensors"):
        read(model)


def test_random_bytes_raise_nothing_but_the_typed_error(model: Path) -> None:
    chance = random.Random(0)
    good = safetensors.torch.save({"w": torch.zeros(4), "v": torch.ones(2, dtype=torch.int64)})
    manifest = (model / "manifest.json").read_bytes()
    refused = 0
    for trial in range(300):
        if trial % 2:
            data = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
        else:
            data = bytearray(chance.randbytes(chance.randrange(64)))
        forge_tensors(model, bytes(data))
        try:
            read(model)
        except CheckpointError:
            refused += 1
        (model / "manifest.json").write_bytes(data)
        with pytest.raises(CheckpointError):
            read(model)
        (model / "manifest.json").write_bytes(manifest)
    assert refused > 150


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 10_000, "\ufeff{}", '"\\ud800"'])
def test_a_hostile_manifest_is_refused(model: Path, text: str) -> None:
    (model / "manifest.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        read(model)


def test_a_manifest_or_tensor_file_larger_than_it_may_be_is_refused_before_it_is_read(model: Path) -> None:
    os.truncate(model / "model.safetensors", 2**40)
    with pytest.raises(CheckpointError, match=r"model.safetensors has 1099511627776 bytes; expected at most"):
        read(model)
    os.truncate(model / "manifest.json", 2**40)
    with pytest.raises(CheckpointError, match=r"manifest.json has 1099511627776 bytes; expected at most"):
        read(model)


@pytest.mark.processes
def test_a_file_beyond_memory_is_refused_and_does_not_end_the_process(model: Path) -> None:
    assert run_as_script(__file__, "memory", str(model)) == [0]


@pytest.mark.processes
def test_loading_unpickles_compiles_and_executes_nothing(model: Path) -> None:
    for form, bomb in bombs(model.parent / "exploded").items():
        hostile = model.parent / form
        shutil.copytree(model, hostile)
        forge_tensors(hostile, bomb)
        (model.parent / f"{form}.pt").write_bytes(bomb)
    assert run_as_script(__file__, "audit", str(model.parent)) == [0]


@pytest.mark.parametrize("path", ["nowhere", "model/nowhere", "model/manifest.json/x", "bad\0name", "x" * 300, "/"])
def test_a_path_without_a_model_is_one_sentence(model: Path, path: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        read(model.parent / path)
    assert "\n" not in str(caught.value)


def test_the_current_folder_can_be_read_by_a_dot(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model)
    assert_same(read(Path(".")), *content(1))


# ---- what the tests above run as a script ----


def _audit(folder: Path) -> int:
    """Count the events of code execution while whole and hostile directories are read."""
    events: list[str] = []
    watched = (
        "pickle.find_class",
        "exec",
        "compile",
        "import",
        "marshal.loads",
        "os.system",
        "subprocess.Popen",
    )

    def hook(event: str, _: tuple[Any, ...]) -> None:
        if event in watched:
            events.append(event)

    read(folder / "model")  # modules that load on first use
    sys.addaudithook(hook)
    read(folder / "model")
    for path in folder.iterdir():
        if path.name != "model":
            try:
                read(path)
            except CheckpointError:
                continue
            return 1
    seen = len(events)
    exec("1")  # noqa: S102 - the control: the hook sees this
    pickle.loads(pickle.dumps(Path))  # noqa: S301 - and this
    assert {"exec", "pickle.find_class"} <= set(events), "the hook does not see what it should"
    return seen


def _memory(model: Path) -> int:
    """Read a sparse tensor file of 4 TB, that its manifest declares, in an address space of a few GB."""
    size = 2**42
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, resource.RLIM_INFINITY))
    os.truncate(model / "model.safetensors", size)
    manifest = json.loads((model / "manifest.json").read_bytes())
    forge(model, bytes=manifest["bytes"] | {"model.safetensors": size})
    with pytest.raises(CheckpointError, match="does not fit into memory"):
        read(model)
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    script = {"audit": _audit, "memory": _memory}[sys.argv[1]]
    sys.stdout.write(f"{script(Path(sys.argv[2]))}\n")
