"""Figures: whole PNG files or none, drawn without a display and without pyplot's global state."""

from __future__ import annotations

import dataclasses
import math
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from longlag.diagnostics import plots
from longlag.diagnostics.plots import ForecastPath, SeriesPicture, forecast_figure, learning_figure
from longlag.errors import InputError

HISTORY = [{"epoch": epoch, "loss": 1.0 / epoch, "validation": 1.5 / epoch} for epoch in range(1, 8)]


def picture(times: Any = None, origins: tuple[int, ...] = (40, 45, 50), simple: str | None = None) -> SeriesPicture:
    """A series of 60 steps with forecasts of 5 steps."""
    times = np.arange(60) if times is None else times
    values = np.sin(np.arange(60) / 4)
    forecasts = [
        ForecastPath(
            times[origin : origin + 5],
            values[origin : origin + 5] + 0.1,
            values[origin : origin + 5] - 0.4,
            values[origin : origin + 5] + 0.6,
            None if simple is None else np.repeat(values[origin - 1], 5),
        )
        for origin in origins
    ]
    return SeriesPicture("waves", times, values, forecasts, simple)


def draw_forecast(path: Path, times: Any = None, origins: tuple[int, ...] = (40, 45, 50), **options: Any) -> None:
    forecast_figure(path, [picture(times, origins)], coverage=0.9, **options)


def draw_learning(path: Path) -> None:
    learning_figure(path, HISTORY, 5)


DRAW = [draw_forecast, draw_learning]


def pixels(path: Path) -> np.ndarray:
    """The picture as (height, width, 4) numbers, after checking every chunk of the file."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    place, packed, kinds = 8, b"", []
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        kind, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        assert struct.unpack(">I", content[place + 8 + length : place + 12 + length]) == (zlib.crc32(kind + body),)
        kinds.append(kind)
        packed += body if kind == b"IDAT" else b""
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        place += 12 + length
    assert (kinds[0], kinds[-1]) == (b"IHDR", b"IEND")
    assert (depth, colour) == (8, 6)
    import matplotlib.image

    found = matplotlib.image.imread(path)
    assert found.shape == (height, width, 4)
    assert len(zlib.decompress(packed)) == height * (1 + 4 * width)
    return np.asarray(found)


@pytest.mark.parametrize(("draw", "inches"), [(draw_forecast, (9.0, 4.2)), (draw_learning, (6.0, 3.6))])
def test_a_figure_is_a_whole_png_of_its_size_with_something_on_it(
    draw: Callable[[Path], None], inches: tuple[float, float], tmp_path: Path
) -> None:
    draw(tmp_path / "figure.png")
    found = pixels(tmp_path / "figure.png")
    assert found.shape[:2] == (round(inches[1] * 130), round(inches[0] * 130))
    assert (found[..., 3] == 1.0).all()
    ink = (found[..., :3] < 0.95).any(axis=-1)
    assert 0.005 < ink.mean() < 0.5
    height, width = ink.shape
    for part in (ink[: height // 2], ink[height // 2 :], ink[:, : width // 2], ink[:, width // 2 :]):
        assert part.any()
    assert [entry.name for entry in tmp_path.iterdir()] == ["figure.png"]


def shown(monkeypatch: pytest.MonkeyPatch, draw: Callable[[Path], None], path: Path) -> Axes:
    """The axes that were drawn."""
    figures: list[Figure] = []
    save = plots.save_figure
    monkeypatch.setattr(plots, "save_figure", lambda figure, target: figures.append(figure) or save(figure, target))
    draw(path)
    (axes,) = figures[0].axes
    return axes


def test_the_forecast_figure_shows_the_series_and_each_forecast_with_its_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = shown(monkeypatch, lambda path: draw_forecast(path, time_name="year"), tmp_path / "figure.png")
    observed, *others = axes.lines
    assert observed.get_label() == "observed"
    assert np.asarray(observed.get_ydata()) == pytest.approx(np.sin(np.arange(60) / 4))
    means = [line for line in others if len(np.asarray(line.get_xdata())) == 5]
    assert [np.asarray(line.get_xdata()).tolist() for line in means] == [list(range(o, o + 5)) for o in (40, 45, 50)]
    assert np.asarray(means[1].get_ydata()) == pytest.approx(np.sin(np.arange(45, 50) / 4) + 0.1)
    assert sorted(line.get_xdata()[0] for line in others if line not in means) == [
        39,
        44,
        49,
    ]  # the last value each knew
    assert len(axes.collections) == 3
    lower, upper = (axes.collections[0].get_datalim(axes.transData).intervaly[side] for side in (0, 1))
    assert lower == pytest.approx(np.sin(np.arange(40, 45) / 4).min() - 0.4)
    assert upper == pytest.approx(np.sin(np.arange(40, 45) / 4).max() + 0.6)
    legend = axes.get_legend()
    assert legend is not None
    assert sorted(text.get_text() for text in legend.get_texts()) == ["90% interval", "forecast", "observed"]
    assert (axes.get_xlabel(), axes.get_title(loc="left")) == ("year", "waves")


def test_the_simple_method_is_drawn_beside_the_forecast_and_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [picture(simple="last value")]
    axes = shown(monkeypatch, lambda path: forecast_figure(path, pictures, coverage=0.8), tmp_path / "figure.png")
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [np.unique(np.asarray(line.get_ydata())).tolist() for line in dashed] == [
        [pytest.approx(math.sin((origin - 1) / 4))] for origin in (40, 45, 50)
    ]
    legend = axes.get_legend()
    assert legend is not None
    assert sorted(text.get_text() for text in legend.get_texts()) == [
        *("80% interval", "forecast", "last value", "observed")
    ]


@pytest.mark.costly
def test_forecasts_of_one_step_have_no_origin_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One behind the other they are one line."""
    whole = picture()
    joined = ForecastPath(whole.times[40:], *(whole.values[40:] + shift for shift in (0.1, -0.4, 0.6)))
    pictures = [dataclasses.replace(whole, paths=[joined])]
    axes = shown(monkeypatch, lambda path: forecast_figure(path, pictures, coverage=0.9), tmp_path / "figure.png")
    assert len(axes.lines) == 3  # observed, forecast, and the last value before it
    assert len(axes.collections) == 1


def test_a_forecast_and_its_interval_begin_at_the_last_value_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = picture(origins=(50,))
    whole.values[48:50] = np.nan  # two values are missing before the origin
    axes = shown(monkeypatch, lambda path: forecast_figure(path, [whole], coverage=0.9), tmp_path / "figure.png")
    (link,) = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 2]
    assert np.asarray(link.get_xdata()).tolist() == [47, 50]
    assert np.asarray(link.get_ydata()) == pytest.approx([math.sin(47 / 4), math.sin(50 / 4) + 0.1])
    (outline,) = axes.collections[0].get_paths()
    assert [math.sin(47 / 4)] == pytest.approx(np.unique(outline.vertices[outline.vertices[:, 0] == 47, 1]))


def test_labels_of_dates_do_not_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = np.datetime64("2024-06-08") + np.arange(25)
    one = SeriesPicture("sales", days[:21], np.arange(21.0), [ForecastPath(days[21:], *np.full((3, 4), 20.0))])
    axes = shown(monkeypatch, lambda path: forecast_figure(path, [one], coverage=0.9), tmp_path / "figure.png")
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    boxes = [label.get_window_extent(renderer) for label in axes.get_xticklabels() if label.get_text()]
    inside = [box for box in boxes if axes.bbox.x0 <= (box.x0 + box.x1) / 2 <= axes.bbox.x1]
    assert len(inside) >= 3
    assert all(left.x1 < right.x0 for left, right in pairwise(inside))


def test_the_legend_hides_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = shown(monkeypatch, draw_forecast, tmp_path / "figure.png")
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent(FigureCanvasAgg(axes.figure).get_renderer()).y0 >= axes.bbox.y1


def test_a_constant_series_is_a_line_at_its_level_and_not_its_rounding_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = np.full(3, 1200.0)
    one = SeriesPicture("rent", np.arange(9), np.full(9, 1200.0), [])
    one = dataclasses.replace(one, paths=[ForecastPath(np.arange(9, 12), level, level - 5e-6, level + 5e-6)])
    axes = shown(monkeypatch, lambda path: forecast_figure(path, [one], coverage=0.9), tmp_path / "figure.png")
    low, high = axes.get_ylim()
    assert low < 1190 < 1210 < high


def test_what_the_values_of_named_series_are_stands_once_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, target: figures.append(figure))
    several = [dataclasses.replace(picture(), title=title) for title in ("north", "south")]
    for pictures, name in ((several, "sales"), ([picture()], "waves")):
        forecast_figure(tmp_path / "figure.png", pictures, coverage=0.9, value_name=name)
    assert [figure.get_supylabel() for figure in figures] == ["sales", ""]  # a title says it already


@pytest.mark.costly
@pytest.mark.parametrize("count", [2, 3])
def test_each_series_has_a_row_with_its_title(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []
    save = plots.save_figure
    monkeypatch.setattr(plots, "save_figure", lambda figure, target: figures.append(figure) or save(figure, target))
    titles = ["a (best)", "b (median)", "c (worst)"][:count]
    pictures = [dataclasses.replace(picture(), title=title) for title in titles]
    forecast_figure(tmp_path / "figure.png", pictures, coverage=0.9, time_name="year")
    axes = figures[0].axes
    assert [one.get_title(loc="left") for one in axes] == titles
    assert [one.get_xlabel() for one in axes] == [""] * (count - 1) + ["year"]
    assert [one.get_legend() is not None for one in axes] == [True] + [False] * (count - 1)
    found = pixels(tmp_path / "figure.png")
    assert found.shape[:2] == (round((2.6 * count + 0.6) * 130), 9 * 130)


def test_the_learning_figure_shows_both_losses_and_the_epoch_that_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = shown(monkeypatch, draw_learning, tmp_path / "figure.png")
    training, validation, kept = axes.lines
    assert np.asarray(training.get_xdata()).tolist() == list(range(1, 8))
    assert np.asarray(training.get_ydata()) == pytest.approx([1 / epoch for epoch in range(1, 8)])
    assert np.asarray(validation.get_ydata()) == pytest.approx([1.5 / epoch for epoch in range(1, 8)])
    assert kept.get_xdata()[0] == 5


def test_there_is_no_half_of_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = shown(monkeypatch, lambda path: learning_figure(path, HISTORY[:2], 2), tmp_path / "figure.png")
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_without_a_validation_part_the_learning_figure_shows_the_training_loss_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = [{**entry, "validation": None} for entry in HISTORY]
    axes = shown(monkeypatch, lambda path: learning_figure(path, history, 7), tmp_path / "figure.png")
    assert [line.get_label() for line in axes.lines] == ["training"]


@pytest.mark.costly
@pytest.mark.parametrize(
    "times",
    [
        np.arange(60) / 4,
        np.datetime64("2020-01-31") + np.arange(60),
        np.datetime64("2020-01") + np.arange(60),
        np.datetime64("2020-01-01T00:00:00.000000") + np.arange(60) * np.timedelta64(3_600_000_000, "us"),
    ],
    ids=["decimals", "days", "months", "hours"],
)
def test_every_kind_of_time_can_be_drawn(times: Any, tmp_path: Path) -> None:
    draw_forecast(tmp_path / "figure.png", times)
    pixels(tmp_path / "figure.png")


@pytest.mark.costly
def test_a_single_epoch_and_a_single_or_no_forecast_can_be_drawn(tmp_path: Path) -> None:
    learning_figure(tmp_path / "a.png", HISTORY[:1], 1)
    draw_forecast(tmp_path / "b.png", origins=(50,))
    draw_forecast(tmp_path / "c.png", origins=())
    for name in "abc":
        pixels(tmp_path / f"{name}.png")


@pytest.mark.costly
def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    for draw in DRAW:
        for name in ("a", "b"):
            draw(tmp_path / name)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# -- whole or not at all -----------------------------------------------------------------------------------------------


@pytest.mark.costly
@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize("there", [True, False], ids=["an older one is there", "none is there"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), ValueError("a mistake"), KeyboardInterrupt()]
)
def test_a_figure_that_fails_half_way_leaves_what_was_there(
    error: BaseException, there: bool, draw: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "figure.png"
    if there:
        target.write_bytes(b"the older one")

    def draw_half(self: Figure, file: BinaryIO, **options: Any) -> None:
        file.write(b"\x89PNG half")
        raise error

    write = os.write

    def write_half(descriptor: int, content: bytes) -> int:
        write(descriptor, bytes(content)[: len(content) // 2])
        raise error

    if isinstance(error, OSError):
        monkeypatch.setattr(os, "write", write_half)
    else:
        monkeypatch.setattr(Figure, "savefig", draw_half)
    expected = InputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        draw(target)
    if isinstance(error, OSError):
        assert f"{target} cannot be written: No space left on device; expected" in str(caught.value)
    assert os.listdir(tmp_path) == (["figure.png"] if there else [])
    assert not there or target.read_bytes() == b"the older one"


@pytest.mark.parametrize("draw", DRAW)
def test_an_older_figure_and_a_half_written_one_are_replaced(draw: Callable[[Path], None], tmp_path: Path) -> None:
    target = tmp_path / "figure.png"
    target.write_bytes(b"the older one")
    (tmp_path / ".figure.png.new").write_bytes(b"\x89PNG half")  # as a kill leaves it
    draw(target)
    pixels(target)
    assert os.listdir(tmp_path) == ["figure.png"]


@pytest.mark.costly
@pytest.mark.parametrize("draw", DRAW)
def test_a_place_that_cannot_be_written_is_one_sentence(draw: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for place in ("nowhere/figure.png", "file/figure.png", "folder"):
        with pytest.raises(InputError, match=r"cannot be written: .*; expected an existing, writable folder"):
            draw(tmp_path / place)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@pytest.mark.processes
def test_neither_a_display_nor_pyplot_is_needed(tmp_path: Path) -> None:
    lines = (
        "import sys; from longlag.diagnostics.plots import learning_figure; "
        "learning_figure('figure.png', [{'epoch': 1, 'loss': 1.0, 'validation': 1.0}], 1); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment["MPLBACKEND"] = "tkagg"  # which would open a window
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", lines], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert (answer.returncode, answer.stderr) == (0, b"")
    pixels(tmp_path / "figure.png")
