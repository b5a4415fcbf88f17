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
from longlag.training import BatchEnd, Callback, ProgressBar, Stage, TrainingConfig, TrainingInfo, progress, train


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


def training(epochs: int, batches: int = 4, done: int = 0, stage: Stage | None = None) -> TrainingInfo:
    config = TrainingConfig(max_epochs=epochs)
    return TrainingInfo(task()[0], config, stage or Stage(), batches, done, validated=False)


def batch(epoch: int, number: int, sequences: int = 1, time_steps: int = 1) -> BatchEnd:
    return BatchEnd(epoch, number, 0, 0.5, 1.0, 0.01, sequences, time_steps)


def epoch(number: int, loss: float) -> dict[str, float | None]:
    return {"epoch": number, "loss": loss, "validation": None}


def test_without_a_terminal_nothing_is_written() -> None:
    drawn = StringIO()
    network, data = task()
    bar = ProgressBar(console=Console(file=drawn))
    train(network, SquaredError(), data, TrainingConfig(max_epochs=2, batch_size=2), callbacks=[bar])
    assert drawn.getvalue() == ""


def test_of_its_own_accord_it_draws_to_standard_error_and_only_to_a_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    bar, info = ProgressBar(), training(1, 1)
    bar.on_train_start(info)
    bar.on_batch_end(info, batch(1, 1))
    bar.on_epoch_end(info, epoch(1, 0.5))
    assert bar._bar is not None
    assert bar._bar.console.stderr
    bar.on_train_end(info, None)
    assert capfd.readouterr() == ("", "")


def test_on_a_terminal_it_shows_the_epoch_and_the_losses() -> None:
    console, drawn = screen()
    network, data = task()
    config = TrainingConfig(max_epochs=3, batch_size=2)
    bar = ProgressBar(console=console)
    result = train(network, SquaredError(), data, config, validation=data, callbacks=[bar])
    entry = result.history[-1]
    line = last_line(drawn)
    assert line.startswith("epoch 3/3 ")
    assert f"loss {entry['loss']:.4g}, validation {entry['validation']:.4g}" in line


def test_without_validation_there_is_one_loss() -> None:
    console, drawn = screen()
    bar, info = ProgressBar(console=console), training(3)
    bar.on_train_start(info)
    bar.on_epoch_end(info, epoch(1, 0.25))
    bar.on_train_end(info, None)
    assert "loss 0.25 " in last_line(drawn)
    assert "validation" not in drawn.getvalue()


def test_of_an_ensemble_it_says_which_network_learns() -> None:
    console, drawn = screen()
    bar, info = ProgressBar(console=console), training(5, done=2, stage=Stage("fit", 1, 3))
    bar.on_train_start(info)
    bar.on_train_end(info, None)
    assert "network 2/3 epoch 2/5 " in drawn.getvalue()


def test_throughput_counts_sequences_and_real_steps_per_second(advance: Callable[[float], None]) -> None:
    console, drawn = screen()
    bar, info = ProgressBar(console=console), training(2)
    bar.on_train_start(info)
    assert bar._bar is not None
    bar.on_batch_end(info, batch(1, 1, sequences=1000, time_steps=30_000))
    advance(2.0)
    bar.on_batch_end(info, batch(1, 2, sequences=3000, time_steps=50_000))
    bar._bar.refresh()
    assert "2,000 sequences/s, 40,000 steps/s" in last_line(drawn)
    advance(0.5)
    bar.on_batch_end(info, batch(1, 3, sequences=1, time_steps=1))  # too early for a new figure
    bar._bar.refresh()
    assert "2,000 sequences/s, 40,000 steps/s" in last_line(drawn)
    advance(0.5)
    bar.on_batch_end(info, batch(1, 4, sequences=9, time_steps=99))
    bar.on_train_end(info, None)
    assert "10 sequences/s, 100 steps/s" in last_line(drawn)


def test_the_remaining_time_is_that_of_the_remaining_work() -> None:
    console, drawn = screen()
    now = [0.0]
    bar, info = ProgressBar(console=console), training(10)
    bar.on_train_start(info)
    assert bar._bar is not None
    bar._bar.get_time = lambda: now[0]  # rich's own clock, which its estimate reads
    bar._bar.reset(bar._task, total=10)
    for number in range(4):  # half an epoch a minute
        now[0] += 30.0
        bar.on_batch_end(info, batch(number // 4 + 1, number % 4 + 1))
    assert bar._bar.tasks[0].completed == 1.0
    bar.on_train_end(info, None)
    assert re.search(r"left 0:18:00", last_line(drawn))  # nine epochs of two minutes


class Failing(Callback):
    def on_epoch_end(self, *_: object) -> None:
        raise KeyError


def test_the_bar_is_gone_after_an_error() -> None:
    console, drawn = screen()
    network, data = task()
    with pytest.raises(KeyError):
        train(
            network,
            SquaredError(),
            data,
            TrainingConfig(max_epochs=2),
            callbacks=[ProgressBar(console=console), Failing()],
        )
    assert drawn.getvalue().endswith("\x1b[1A\x1b[2K")  # up one line, and erase it


def test_the_form_of_the_release_before_still_draws_and_says_what_replaces_it() -> None:
    console, drawn = screen()
    network, data = task()
    with (
        pytest.warns(DeprecationWarning, match=r"^ProgressBar\(max_epochs\) is now ProgressBar\(\)"),
        pytest.warns(DeprecationWarning, match=r"is now train\(callbacks=\[ProgressBar\(\)\]\)"),
        pytest.warns(DeprecationWarning, match=r"^train\(observer=\.\.\.\) is now train\(callbacks="),
        ProgressBar(2, console) as bar,
    ):
        train(network, SquaredError(), data, TrainingConfig(max_epochs=2, batch_size=2), observer=bar)
    assert last_line(drawn).startswith("epoch 2/2 ")
