"""What holds for every test: it repeats, and it cannot pass by reading memory nobody wrote."""

from __future__ import annotations

import gc
import os
import random
import warnings
from collections.abc import Iterator

# cuBLAS refuses deterministic mode without it, and reads it once, when CUDA starts.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import pytest
import torch
from hypothesis import settings

from longlag.ops import select

# Without a GPU NumPy runs Triton's kernels. Triton reads this when it is first imported, which a test of torch.compile
# may do in passing.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# What is imported and collected stays until the end: Python's collector need not look through it while it grows.
gc.disable()

# A run repeats, on a laptop as in CI: a failure seen once can be seen again, and no change is blamed for an
# example it did not meet. No deadline: on a shared machine it measures the neighbours. No database: with
# derandomised examples there is nothing to remember.
settings.register_profile("thorough", deadline=None, derandomize=True, database=None)
settings.register_profile("longlag", settings.get_profile("thorough"), max_examples=40)
settings.register_profile("fast", settings.get_profile("thorough"), max_examples=8)
settings.load_profile("longlag")

# Without the compiled module "auto" says so, once in a process: not in the test that happens to be first.
if select.native is None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        select._warn_once()


LONGEST = (
    "test_documents",
    "test_triton",
    "test_ray",
    "test_process",
    "test_gradients_agree",
    "test_kill_and_resume",
    "test_check_estimator",
    "test_fit_with_workers",
    "test_cluster_guide",
    "test_in_scikit_learn",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that no process is left with one of them when the others are done."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


def pytest_collection_finish() -> None:
    """The collector need not look at it afterwards either, whatever test asks for a collection."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def what_earlier_files_left_is_passed_over() -> None:
    """What a file of tests leaves, modules that it was the first to load above all, is not looked through later."""
    gc.freeze()


def pytest_unconfigure() -> None:
    """At the end of the process everything is freed as usual: some modules complain of what is left."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def same_start_for_every_test() -> None:
    """Seeds, one thread, float32: no test sees what another left behind."""
    random.seed(0)
    # scikit-learn draws from the global state where no random_state is given.
    np.random.seed(0)  # noqa: NPY002
    # torch.manual_seed would note for each device that is not there where it was called from: a tenth of a small test.
    (torch.manual_seed if torch.cuda.is_available() else torch.default_generator.manual_seed)(0)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)


@pytest.fixture(autouse=True)
def scratch_memory_is_nan(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch.empty and its kin hand out NaN (integers: the largest value), so a hole in a result shows.

    A test that needs torch's nondeterministic paths calls torch.use_deterministic_algorithms(False) itself.
    """
    before = torch.are_deterministic_algorithms_enabled()
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes are forks of this one, where their start is not the subject."""
    from forked import fork_workers

    fork_workers(monkeypatch)


@pytest.fixture(autouse=True)
def no_gpu_test_without_a_gpu(request: pytest.FixtureRequest) -> None:
    """``-m gpu`` on a machine without one skips, and says why."""
    if request.node.get_closest_marker("gpu") is not None and not torch.cuda.is_available():
        pytest.skip("PyTorch sees no CUDA device")
