"""Every test of the command line works in an empty folder of its own; it waits neither for simple methods nor for
five networks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import QUICK, SHORT, done, rows_to_classify, sequences, series
from stand_ins import make_quick

from longlag.estimators import LSTMClassifier, LSTMRegressor

MADE = {
    "forecast": lambda: ("fit", series(), "--target", "y", "--time", "step", "--season", 6, *QUICK),
    "classify": lambda: ("fit", sequences("kind"), "--label", "kind", "--sequence", "id", *SHORT),
    "regress": lambda: ("fit", sequences("score"), "--target", "score", "--sequence", "id", *SHORT),
    "rows": lambda: ("fit", rows_to_classify(), "--label", "label", *SHORT),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fitted_methods() -> None:
    """Ask statsmodels itself for Theta, smoothing and autoregression."""


@pytest.fixture(autouse=True)
def no_fitted_methods(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins, unless a test asks for ``fitted_methods``."""
    if "fitted_methods" not in request.fixturenames:
        make_quick(monkeypatch)


def two_networks_of(patch: pytest.MonkeyPatch) -> None:
    """Sequences and rows are answered by the mean of two networks: the usual five take more than twice as long."""
    for kind in (LSTMClassifier, LSTMRegressor):
        patch.setattr(kind, "n_networks", 2)
        patch.setitem(kind.__init__.__kwdefaults__, "n_networks", 2)


@pytest.fixture
def five_networks() -> None:
    """Answer sequences and rows by as many networks as they usually are."""


@pytest.fixture(autouse=True)
def two_networks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two networks, unless a test asks for ``five_networks``."""
    if "five_networks" not in request.fixturenames:
        two_networks_of(monkeypatch)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with a finished run and its data, made when first asked for."""
    folders: dict[str, Path] = {}

    def make(task: str) -> Path:
        if task not in folders:
            folders[task] = tmp_path_factory.mktemp(task)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folders[task])
                make_quick(patch)
                two_networks_of(patch)
                done(*MADE[task](), "--out", "run")
        return folders[task]

    return make


@pytest.fixture
def finished(made: Callable[[str], Path], here: Path) -> Callable[[str], Path]:
    """Call with a task: the current folder gets a copy of a finished run, ``run``, and of its data."""

    def copy(task: str) -> Path:
        shutil.copytree(made(task), here, dirs_exist_ok=True)
        return Path("run")

    return copy


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out, which take longer than these fits."""
    for name in ("forecasting.forecast_figure", "fit.learning_figure"):
        monkeypatch.setattr(f"longlag.cli.{name}", lambda *_, **__: None)
