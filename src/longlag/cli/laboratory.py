"""Commands of the laboratory, which is installed beside the library; where it is not, a sentence says how to get it."""

from __future__ import annotations

import importlib.metadata

import typer

from longlag.errors import InputError

__all__ = ["join"]

GROUP = "longlag.commands"
"""The entry points of this group are functions that add commands to the application they are given."""

_ABSENT = {
    "reproduce": "Run the experiments of the papers (needs the laboratory, which is not installed).",
    "bench": "Measure speed beside other libraries (needs the laboratory, which is not installed).",
    "pretrain": "Teach the pretrained forecaster (needs the laboratory, which is not installed).",
}


def join(app: typer.Typer) -> None:
    """Add the commands of every package that offers some; without the laboratory, what stands in for its commands."""
    packages = importlib.metadata.entry_points(group=GROUP)
    for package in packages:
        package.load()(app)
    if "laboratory" not in packages.names:
        for name, purpose in _ABSENT.items():
            _stand_in(app, name, purpose)


def _stand_in(app: typer.Typer, name: str, purpose: str) -> None:
    # Whatever options follow, the answer is the same sentence.
    settings = {"allow_extra_args": True, "ignore_unknown_options": True}

    @app.command(name, help=purpose, context_settings=settings)
    def missing() -> None:
        raise InputError(
            f"longlag {name} belongs to the laboratory, which is not installed; expected a checkout of longlag and "
            "`pip install ./laboratory` in it"
        )
