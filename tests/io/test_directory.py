"""The directory format: whole after any fault, byte for byte repeatable, and closed to what it does not know."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from directories import assert_same, bytes_of, content, forge, read, write
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from faults import environment, every_fault, kill, run_in_fork
from longlag.errors import CheckpointError, InputError
from longlag.io.directory import read_directory, sibling, write_directory
from longlag.io.lock import locked
from property_examples import examples

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


@pytest.mark.costly
@examples(60)
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


def test_tensors_are_read_into_memory_whatever_torchs_default_device_is(tmp_path: Path) -> None:
    tensors = {"full": torch.arange(3.0), "empty": torch.empty(2, 0)}
    write_directory(tmp_path / "model", kind="model", files={"a.safetensors": tensors}, document={})
    with torch.device("meta"):
        files = read_directory(tmp_path / "model", kind="model").files
    for name, tensor in tensors.items():
        assert files["a.safetensors"][name].device.type == "cpu"
        assert torch.equal(files["a.safetensors"][name], tensor)


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


@pytest.mark.processes
def test_a_kill_or_failure_at_every_operation_leaves_the_old_content_or_the_new() -> None:
    first, replacing, after_a_kill = run_in_fork(__file__, "faults")
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


@pytest.mark.processes
def test_a_forked_worker_does_not_keep_the_lock_of_its_killed_parent(model: Path) -> None:
    assert run_in_fork(__file__, "orphan", str(model)) == [0]


@pytest.mark.processes
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
        script = {"orphan": _orphan, "rewrite": _rewrite}[sys.argv[1]]
        sys.stdout.write(f"{script(Path(sys.argv[2]))}\n")
