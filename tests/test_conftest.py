"""The house rules of conftest.py do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_memory_nobody_wrote_reads_as_nan(dtype: torch.dtype) -> None:
    like = torch.zeros(3, dtype=dtype)
    scratch = [
        torch.empty(3, dtype=dtype),
        torch.empty_like(like),
        like.new_empty(3),
        torch.empty_strided((2, 2), (1, 2), dtype=dtype),
    ]
    assert all(tensor.isnan().all() for tensor in scratch)


@pytest.mark.parametrize("run", ["first", "second"])
def test_every_test_draws_the_same_numbers(run: str) -> None:
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(0)))
    assert torch.get_num_threads() == 1


def test_no_two_files_of_tests_have_one_name() -> None:
    # pytest imports a test file by its name alone.
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
