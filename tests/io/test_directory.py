"""The directory format: whole after any fault, byte for byte repeatable, and closed to hostile files."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import pickle
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from faults import environment, every_fault, kill, run_as_script
from longlag.errors import CheckpointError, InputError
from longlag.io.directory import Saved, read_directory, sibling, write_directory
from longlag.io.json import encode_json
from longlag.io.lock import locked


def content(seed: int) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    generator = torch.Generator().manual_seed(seed)
    tensors = {"weight": torch.randn(3, 5, generator=generator), "count": torch.tensor(seed)}
    moments = {"first": torch.randn(4, dtype=torch.float64, generator=generator)}
    return {"model.safetensors": tensors, "optimiser.safetensors": moments}, {"seed": seed, "rate": 0.1}


def write(path: Path, seed: int = 1) -> None:
    files, document = content(seed)
    write_directory(path, kind="model", files=files, document=document)


def read(path: Path) -> Saved:
    return read_directory(path, kind="model")


def bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()


def assert_same(saved: Saved, files: dict[str, dict[str, Tensor]], document: dict[str, Any]) -> None:
    assert saved.document == document
    assert saved.files.keys() == files.keys()
    for name, tensors in files.items():
        assert saved.files[name].keys() == tensors.keys()
        for key, tensor in tensors.items():
            found = saved.files[name][key]
            assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
            assert bits(found) == bits(tensor)
            assert found.is_contiguous()
            assert not found.requires_grad


def bytes_of(path: Path) -> dict[str, bytes]:
    return {child.name: child.read_bytes() for child in path.iterdir()}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    write(path)
    return path


def forge(path: Path, **changes: Any) -> None:
    """Rewrite the manifest as an attacker can: with a digest that matches."""
    manifest = json.loads((path / "manifest.json").read_bytes())
    manifest.update(changes)
    manifest.pop("digest")
    manifest["digest"] = hashlib.sha256(encode_json(manifest, "")).hexdigest()
    (path / "manifest.json").write_bytes(encode_json(manifest, ""))


def forge_tensors(path: Path, data: bytes) -> None:
    """Replace the tensor file by ``data`` under a matching manifest."""
    for child in path.glob("*.safetensors"):
        child.unlink()
    (path / "m.safetensors").write_bytes(data)
    forge(path, bytes={"m.safetensors": len(data)}, sha256={"m.safetensors": hashlib.sha256(data).hexdigest()})


# ---- round trip ----

DTYPES = [torch.float32, torch.float64, torch.int64, torch.bool, torch.uint8]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Any bits at all (NaN payloads, denormals), in shapes with ones and zeros; sometimes not contiguous."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    flat = torch.empty(shape, dtype=dtype)
    count = flat.numel() * flat.element_size()
    data = draw(st.binary(min_size=count, max_size=count))
    if count:
        raw = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        flat = (raw > 127 if dtype == torch.bool else raw.view(dtype)).reshape(shape)
    return flat.transpose(0, -1) if len(shape) > 1 and draw(st.booleans()) else flat


@settings(max_examples=60, deadline=None)
@given(
    files=st.dictionaries(
        st.from_regex(r"[a-z0-9_]{1,8}\.safetensors", fullmatch=True),
        st.dictionaries(st.text(st.characters(categories=["L", "N", "P"]), max_size=6), tensors(), max_size=3),
        max_size=2,
    ),
    document=st.dictionaries(st.text(), JSON_VALUES, max_size=4),
)
def test_what_is_written_is_read_and_writing_it_again_gives_the_same_bytes(
    files: dict[str, dict[str, Tensor]], document: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        first, second = Path(name, "first"), Path(name, "second")
        write_directory(first, kind="checkpoint", files=files, document=document)
        saved = read_directory(first, kind="checkpoint")
        assert_same(saved, files, document)
        backwards = {key: dict(reversed(inner.items())) for key, inner in reversed(saved.files.items())}
        ordered = dict(reversed(saved.document.items()))
        write_directory(second, kind="checkpoint", files=backwards, document=ordered)
        assert bytes_of(first) == bytes_of(second)
        assert sorted(os.listdir(name)) == ["first", "second"]


def test_tensors_that_share_or_stride_memory_or_need_gradients_are_stored_as_what_they_show(
    tmp_path: Path,
) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    shown = {
        "base": base,
        "alias": base,
        "row": base[1],
        "transposed": base.T,
        "expanded": base[:1].expand(5, 4),
        "parameter": torch.nn.Parameter(base),
        "negative": torch.tensor([1 + 2j, 3 + 4j]).conj().imag,
        "scalar": torch.tensor(True),
        "empty": torch.empty(0, 3),
    }
    write_directory(tmp_path / "m", kind="model", files={"m.safetensors": shown}, document={})
    found = read(tmp_path / "m").files["m.safetensors"]
    for key, tensor in shown.items():
        assert torch.equal(found[key], tensor.detach()), key
    found["base"].zero_()
    assert torch.equal(found["alias"], base)


def test_the_manifest_says_what_the_directory_is_and_hashes_every_file(model: Path) -> None:
    manifest = json.loads((model / "manifest.json").read_text())
    assert manifest["format"] == "longlag"
    assert manifest["schema"] == 1
    assert manifest["kind"] == "model"
    assert manifest["document"] == {"seed": 1, "rate": 0.1}
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((model / name).read_bytes()).hexdigest() == digest
    assert set(manifest["sha256"]) | {"manifest.json"} == set(os.listdir(model))


def test_the_bytes_of_the_format_are_those_of_schema_one(tmp_path: Path) -> None:
    document: dict[str, Any] = {"name": "Größe", "rate": 0.1, "none": None, "list": [1, True]}
    files = {"m.safetensors": {"w": torch.arange(3, dtype=torch.float64)}}
    write_directory(tmp_path / "m", kind="model", files=files, document=document)
    digest = hashlib.sha256((tmp_path / "m" / "manifest.json").read_bytes()).hexdigest()
    assert digest == "ab04cda6951368583f738b9fd76050ba9f1a1168c42b63d78efb74e60c28416e"


# ---- faults while writing ----


def _old_model(place: Path) -> None:
    write(place / "model", seed=1)


def _killed_model(place: Path) -> None:
    """What a writer leaves that is killed when the old directory is away and the new one is not there."""
    write(place / "model", seed=1)
    os.rename(place / "model", place / ".model.previous")
    shutil.copytree(place / ".model.previous", place / ".model.new")
    (place / ".model.lock").touch()
    (place / "was_killed").touch()


def _judge_model(place: Path, allowed: set[str]) -> None:
    there = any((place / name).exists() for name in ("model", ".model.previous"))
    seed = read(place / "model").document["seed"] if there else None
    state = "new" if seed == 2 else "old"
    assert state in allowed, (state, allowed)
    if seed is not None:
        assert_same(read(place / "model"), *content(seed))
    if allowed == {"old"} and not (place / "was_killed").exists():
        assert set(os.listdir(place)) == ({"model"} if seed else set())
    (place / "was_killed").unlink(missing_ok=True)
    write(place / "model", seed=3)
    assert_same(read(place / "model"), *content(3))
    assert os.listdir(place) == ["model"]


def test_a_kill_or_failure_at_every_operation_leaves_the_old_content_or_the_new() -> None:
    first, replacing, after_a_kill = run_as_script(__file__, "faults")
    assert first > 60
    assert replacing > 80
    assert after_a_kill > 80


def test_what_is_renamed_was_flushed_before_and_its_folder_is_flushed_after(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.rename

    def logged_fsync(descriptor: int) -> None:
        log.append(("fsync", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))))
        fsync(descriptor)

    def logged_rename(source: Path, target: Path) -> None:
        log.append(("rename", source.name))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "rename", logged_rename)
    write(model)
    published = log.index(("rename", ".model.new"))
    names = {"model.safetensors", "optimiser.safetensors", "manifest.json", ".model.new"}
    assert {name for what, name in log[:published] if what == "fsync"} == names
    assert log[published + 1 :] == [("fsync", model.parent.name)]


def test_a_disk_that_fills_up_at_any_byte_is_one_sentence_and_changes_nothing(model: Path) -> None:
    before = bytes_of(model)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in range(0, max(map(len, before.values())), 40):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(InputError, match=r"model cannot be written: File too large; expected"):
                write(model, seed=2)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert bytes_of(model) == before
        assert os.listdir(model.parent) == ["model"]


@pytest.mark.parametrize("path", ["missing/model", "file/model", "file", "bad\0name", "x" * 300])
def test_an_output_that_cannot_be_written_is_one_sentence_and_nothing_is_left(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match=r"file|cannot be written") as caught:
        write(tmp_path / path)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, CheckpointError)
    assert [(child.name, child.read_text()) for child in tmp_path.iterdir()] == [("file", "precious")]


def test_a_directory_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "manifest.json").write_text("{}")
    (home / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="home exists and is not a longlag directory"):
        write(home)
    assert set(os.listdir(home)) == {"manifest.json", "thesis.tex"}
    os.symlink(home, tmp_path / "link")
    with pytest.raises(InputError, match="link exists and is not"):
        write(tmp_path / "link")
    assert sorted(os.listdir(tmp_path)) == ["home", "link"]
    with pytest.raises(InputError, match="root folder"):
        write(Path("/"))


def test_an_empty_or_damaged_directory_of_ours_can_be_replaced(model: Path) -> None:
    (model / "manifest.json").write_bytes(b"damaged")
    (model / "model.safetensors").unlink()
    write(model)
    assert_same(read(model), *content(1))
    shutil.rmtree(model)
    model.mkdir()
    write(model)
    assert_same(read(model), *content(1))


def test_a_second_writer_is_refused_while_the_first_one_lives(model: Path) -> None:
    refused = pytest.raises(InputError, match=f"another process is writing to {model}")
    with locked(sibling(model, "lock"), model), refused:
        write(model, seed=2)
    write(model, seed=2)
    assert read(model).document["seed"] == 2


def test_a_forked_worker_does_not_keep_the_lock_of_its_killed_parent(model: Path) -> None:
    assert run_as_script(__file__, "orphan", str(model)) == [0]


def test_a_reader_beside_a_busy_writer_always_meets_a_whole_model(model: Path) -> None:
    command = [sys.executable, __file__, "rewrite", str(model)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            seen: set[int] = set()
            for reads in itertools.count():
                saved = read(model)
                assert_same(saved, *content(saved.document["seed"]))
                seen.add(saved.document["seed"])
                if len(seen) == 5 and reads > 300:
                    break
        finally:
            writer.kill()


# ---- content that is refused ----


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"rate": float("nan")}, r"\['rate'\] is nan"),
        ({"a": [1.0, float("inf")]}, r"\['a'\]\[1\] is inf"),
        ({"a": {1: 2}}, r"\['a'\] has the key 1"),
        ({"shape": (1, 2)}, r"\['shape'\] is a tuple"),
        ({"w": torch.zeros(1)}, r"\['w'\] is a Tensor"),
        ({"n": 10**5000}, "cannot be written as JSON"),
    ],
)
def test_a_document_that_json_would_change_is_refused_by_place(
    tmp_path: Path, document: dict[str, Any], place: str
) -> None:
    with pytest.raises(InputError, match=place):
        write_directory(tmp_path / "m", kind="model", files={}, document=document)
    assert not os.listdir(tmp_path)


def test_a_document_without_end_is_refused(tmp_path: Path) -> None:
    circle: dict[str, Any] = {}
    circle["circle"] = circle
    with pytest.raises(InputError, match="nested deeper"):
        write_directory(tmp_path / "m", kind="model", files={}, document=circle)


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/x.safetensors", "a/b.safetensors", "x.pt", ".safetensors", "X.safetensors",
             "x.safetensors\n", "x\0.safetensors", "manifest.json"]
)  # fmt: skip
def test_a_file_name_outside_the_closed_set_is_refused_by_writer_and_reader(model: Path, name: str) -> None:
    before = bytes_of(model)
    with pytest.raises(InputError, match="not allowed"):
        write_directory(model, kind="model", files={name: {}}, document={})
    assert bytes_of(model) == before
    forge(model, bytes={name: 8}, sha256={name: "0" * 64})
    with pytest.raises(CheckpointError, match=r"manifest\.json names the file"):
        read(model)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(2, dtype=torch.complex64),
        torch.zeros(2, dtype=torch.int8),
        torch.zeros(2, 2).to_sparse(),
        torch.zeros(2, device="meta"),
        [1.0],
    ],
)
def test_a_tensor_that_the_format_does_not_know_is_refused(tmp_path: Path, tensor: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        write_directory(tmp_path / "m", kind="model", files={"m.safetensors": {"w": tensor}}, document={})
    assert not os.listdir(tmp_path)


def test_a_tensor_name_that_safetensors_reserves_is_refused(tmp_path: Path) -> None:
    files = {"m.safetensors": {"__metadata__": torch.zeros(1)}}
    with pytest.raises(InputError, match="__metadata__"):
        write_directory(tmp_path / "m", kind="model", files=files, document={})


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="kind is 'modle'"):
        write_directory(tmp_path / "m", kind="modle", files={}, document={})  # type: ignore[arg-type]


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


def test_a_file_beyond_memory_is_refused_and_does_not_end_the_process(model: Path) -> None:
    assert run_as_script(__file__, "memory", str(model)) == [0]


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


def _orphan(model: Path) -> int:
    """Take the lock, fork a worker that outlives us, be killed; then write."""
    waiting, finish = os.pipe()
    forked, tell = os.pipe()
    holder = os.fork()
    if holder == 0:
        with locked(sibling(model, "lock"), model):
            if os.fork() == 0:
                os.close(finish)
                os.write(tell, b"x")
                os.read(waiting, 1)  # until the process that writes is done
                os._exit(0)
            os.read(forked, 1)  # the worker is past the start of its life, where it lets go
            kill()
    os.waitpid(holder, 0)
    write(model, seed=2)
    os.close(finish)
    return 0


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


def _rewrite(model: Path) -> int:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for seed in itertools.count(2):
        write(model, seed % 5)
    return 1


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "faults":
        for prepare in (lambda place: None, _old_model, _killed_model):
            every_fault(prepare, lambda place: write(place / "model", seed=2), _judge_model)
    else:
        script = {"orphan": _orphan, "audit": _audit, "memory": _memory, "rewrite": _rewrite}[sys.argv[1]]
        sys.stdout.write(f"{script(Path(sys.argv[2]))}\n")
