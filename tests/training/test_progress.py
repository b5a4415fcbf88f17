"""The progress bar: silent where nobody looks, and loss, throughput and remaining time where somebody does."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from longlag import LSTM, Network, SequenceBatch
from longlag.nn import SquaredError
from longlag.training import ProgressBar, TrainingConfig, progress, train


@pytest.fixture(autouse=True)
def no_terminal_by_decree(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR", "TERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that stands still until it is moved."""
    now = [100.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def by(seconds: float) -> None:
        now[0] += seconds

    return by


def screen() -> tuple[Console, StringIO]:
    drawn = StringIO()
    return Console(file=drawn, force_terminal=True, width=160, color_system=None), drawn


def last_line(drawn: StringIO) -> str:
    """The last drawing of the bar, without the terminal's control sequences."""
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\r", drawn.getvalue()))
    return [line for line in lines if line.startswith("epoch")][-1]


def task() -> tuple[Network, SequenceBatch]:
    inputs = [torch.randn(steps, 1) for steps in (3, 4, 2)]
    return Network(LSTM(1, 2), 1), SequenceBatch.every_step(inputs, inputs)


def test_without_a_terminal_nothing_is_written() -> None:
    drawn = StringIO()
    network, data = task()
    with ProgressBar(2, Console(file=drawn)) as bar:
        train(network, SquaredError(), data, TrainingConfig(max_epochs=2, batch_size=2), observer=bar)
    assert drawn.getvalue() == ""


def test_of_its_own_accord_it_draws_to_standard_error_and_only_to_a_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with ProgressBar(1) as bar:
        bar.batch_done(0, 0, 1, 1, 1)
        bar.epoch_done({"epoch": 1, "loss": 0.5, "validation": None})
    assert bar._bar.console.stderr
    assert capfd.readouterr() == ("", "")


def test_on_a_terminal_it_shows_the_epoch_and_the_losses() -> None:
    console, drawn = screen()
    network, data = task()
    with ProgressBar(3, console) as bar:
        config = TrainingConfig(max_epochs=3, batch_size=2)
        result = train(network, SquaredError(), data, config, validation=data, observer=bar)
    entry = result.history[-1]
    line = last_line(drawn)
    assert line.startswith("epoch 3/3 ")
    assert f"loss {entry['loss']:.4g}, validation {entry['validation']:.4g}" in line


def test_without_validation_there_is_one_loss() -> None:
    console, drawn = screen()
    with ProgressBar(3, console) as bar:
        bar.epoch_done({"epoch": 1, "loss": 0.25, "validation": None})
    assert "loss 0.25 " in last_line(drawn)
    assert "validation" not in drawn.getvalue()


def test_throughput_counts_sequences_and_real_steps_per_second(advance: Callable[[float], None]) -> None:
    console, drawn = screen()
    with ProgressBar(2, console) as bar:
        bar.batch_done(0, 0, 4, sequences=1000, steps=30_000)
        advance(2.0)
        bar.batch_done(0, 1, 4, sequences=3000, steps=50_000)
        bar._bar.refresh()
        assert "2,000 sequences/s, 40,000 steps/s" in last_line(drawn)
        advance(0.5)
        bar.batch_done(0, 2, 4, sequences=1, steps=1)  # too early for a new figure
        bar._bar.refresh()
        assert "2,000 sequences/s, 40,000 steps/s" in last_line(drawn)
        advance(0.5)
        bar.batch_done(0, 3, 4, sequences=9, steps=99)
    assert "10 sequences/s, 100 steps/s" in last_line(drawn)


def test_the_remaining_time_is_that_of_the_remaining_work() -> None:
    console, drawn = screen()
    now = [0.0]
    with ProgressBar(10, console) as bar:
        bar._bar.get_time = lambda: now[0]  # rich's own clock, which its estimate reads
        bar._bar.reset(bar._task, total=10)
        for batch in range(4):  # half an epoch a minute
            now[0] += 30.0
            bar.batch_done(batch // 4, batch % 4, 4, 1, 1)
        assert bar._bar.tasks[0].completed == 1.0
    assert re.search(r"left 0:18:00", last_line(drawn))  # nine epochs of two minutes


def test_the_bar_is_gone_after_an_error() -> None:
    console, drawn = screen()
    with pytest.raises(KeyError), ProgressBar(2, console):
        raise KeyError
    assert drawn.getvalue().endswith("\x1b[1A\x1b[2K")  # up one line, and erase it
