"""The environment tells versions and the machine, and names no host."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch

from longlag.io import environment as where_it_ran
from longlag.io.environment import environment
from longlag.io.json import write_json


def test_the_environment_is_plain_json_that_names_no_host(tmp_path: Path) -> None:
    found = environment()
    write_json(tmp_path / "environment.json", found)
    assert json.loads((tmp_path / "environment.json").read_bytes()) == found
    assert found["torch"] == torch.__version__
    assert found["numpy"] == numpy.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["threads"] == torch.get_num_threads()
    assert found["cpu_count"] == os.cpu_count()
    assert os.uname().nodename not in {str(value) for value in found.values()}


def test_the_environment_gives_the_installed_version_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: {"longlag": "1.2.3"}[name])
    assert environment()["longlag"] == "1.2.3"

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert environment()["longlag"] is None


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    package = root / "src" / "longlag"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def test_the_commit_of_a_checkout_is_told_and_marked_when_files_differ(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert where_it_ran._commit(checkout / "src" / "longlag") == head
    (checkout / "src" / "longlag" / "__init__.py").write_text("changed = True")
    assert where_it_ran._commit(checkout / "src" / "longlag") == f"{head}-dirty"


def test_a_copy_installed_inside_another_repository_has_no_commit(checkout: Path) -> None:
    installed = checkout / "vendored" / "longlag"
    installed.mkdir(parents=True)
    assert where_it_ran._commit(installed) is None


def test_a_missing_or_failing_git_means_that_the_commit_is_not_known(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / ".git" / "HEAD").write_text("damaged")
    assert where_it_ran._commit(checkout / "src" / "longlag") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert where_it_ran._commit(checkout / "src" / "longlag") is None
