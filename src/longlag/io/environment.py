"""Where a program ran: the versions and the machine that its bits depend on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy
import torch

__all__ = ["environment"]


def environment() -> dict[str, Any]:
    """Return versions and machine that a run's bits depend on, as plain JSON; no host name, no user name, no time.

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
    """Return the commit of the checkout that ``package`` (…/src/longlag) belongs to, or None."""
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
