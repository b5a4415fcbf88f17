"""The guide's commands for a cluster, on a cluster of this machine."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ray = pytest.importorskip("ray")

GUIDE = Path(__file__).parents[2] / "docs/guides/cluster.md"
BIN = Path(sys.executable).parent


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: Ray's sockets lie below it, and the name of a socket has 107 letters at most."""
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.ray
@pytest.mark.processes
def test_the_guides_commands_run_on_a_cluster_that_they_start(tmp_path: Path, short: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if "ray start" in block]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # Folders of its own: neither is another cluster found, nor the user's token written over.
    environment = {**kept, "HOME": str(tmp_path), "RAY_TMPDIR": str(short), "RAY_USAGE_STATS_ENABLED": "0"}
    environment["PATH"] = f"{BIN}:{kept['PATH']}"
    head, ran = None, []
    try:
        for line in block.splitlines():
            words = shlex.split(line)
            if words[0] == "export":
                name, _, value = words[1].partition("=")
                environment[name] = value
            elif words[:2] == ["ray", "start"]:  # in a group of its own, so that ending it ends no other cluster
                head = subprocess.Popen(
                    [*words, "--block", "--port", "0"],
                    env=environment,
                    start_new_session=True,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                deadline = time.monotonic() + 60
                while not (short / "ray/ray_current_cluster").exists() and time.monotonic() < deadline:
                    time.sleep(0.1)
            elif words == ["ray", "stop"]:
                assert head is not None
            else:
                done = subprocess.run(
                    words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
                )
                assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            ran.append(words[0])
    finally:
        if head is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(head.pid, signal.SIGKILL)
            head.wait(30)
    assert ran == ["export", "ray", "ray", "longlag", "ray"]
    assert (tmp_path / "cluster/metrics.json").exists()
