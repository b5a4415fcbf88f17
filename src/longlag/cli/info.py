"""longlag info: what is installed and can run here, and how a run did."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

from longlag.cli import run_directory
from longlag.errors import CheckpointError
from longlag.io.environment import environment
from longlag.ops.select import ENGINES, native, native_status
from longlag.ops.triton import verification

__all__ = ["about_installation", "about_run"]


def about_installation() -> dict[str, Any]:
    """Versions, engines, the compiled extension, the machine; where there is a GPU, a trial launch of our kernels."""
    return {
        **environment(),
        "backends": ["auto", *(["native"] if native is not None else []), *ENGINES],
        "extension": native_status(),
        "cuda_device": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "gpu_kernels": verification.report(),
        "python_implementation": platform.python_implementation(),
    }


def about_run(run: Path) -> dict[str, Any]:
    """What a run was asked, and how it did."""
    model, _ = run_directory.load_run(run)
    if not (run / "metrics.json").exists():
        raise CheckpointError(
            f"{run} has no metrics.json yet; expected a finished run: longlag fit ... --resume ends it"
        )
    return {
        "run": str(run),
        "estimator": type(model).__name__,
        "cell": str(model.network_.lstm.cell),
        "backend": model.network_.lstm.backend_for(next(model.network_.lstm.parameters())),
        **run_directory.read_json(run / "metrics.json"),
    }
