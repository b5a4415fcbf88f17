"""The built-in data sets against the packages that carry them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longlag.data import BuiltIn, Table, dataset_names, load_dataset, open_data
from longlag.errors import InputError


def test_the_menu() -> None:
    assert dataset_names() == ("sunspots", "co2", "elnino", "JapaneseVowels", "bach")


def described(built_in: BuiltIn) -> None:
    assert all([built_in.description, built_in.source, built_in.licence])
    if built_in.table is not None:
        assert built_in.target in built_in.table.names
        assert built_in.time in built_in.table.names
        assert built_in.season is not None
        assert built_in.horizon is not None


def test_sunspots_are_the_309_years_of_statsmodels() -> None:
    datasets = pytest.importorskip("statsmodels.datasets")
    oracle = datasets.sunspots.load_pandas().data
    built_in = load_dataset("sunspots")
    described(built_in)
    table = built_in.table
    assert table is not None
    assert table.names == ("year", "sunspots")
    np.testing.assert_array_equal(table.numbers(["year", "sunspots"]), oracle.to_numpy())
    assert len(table) == 309
    assert (table.number("sunspots")[0], table.number("sunspots")[-1]) == (5.0, 2.9)
    assert (built_in.task, built_in.target, built_in.season) == ("forecast", "sunspots", 11)


def test_co2_is_the_mean_of_the_weeks_that_were_measured() -> None:
    datasets = pytest.importorskip("statsmodels.datasets")
    weekly = datasets.co2.load_pandas().data["co2"]
    built_in = load_dataset("co2")
    described(built_in)
    table = built_in.table
    assert table is not None
    months = weekly.groupby(weekly.index.to_period("M")).agg(["mean", "count"])
    gaps = months.index[months["count"] == 0]
    assert len(gaps) > 0  # else there would be nothing to decide
    kept = months[months.index > gaps[-1]]
    assert len(table) == len(kept) == 452
    np.testing.assert_array_equal(table.dates("month"), kept.index.to_timestamp().to_numpy().astype("datetime64[M]"))
    np.testing.assert_allclose(table.number("co2"), kept["mean"], rtol=1e-14)
    np.testing.assert_array_equal(table.number("weeks"), kept["count"])
    assert (np.diff(table.dates("month")) == np.timedelta64(1, "M")).all()


def test_elnino_is_one_series_month_after_month() -> None:
    datasets = pytest.importorskip("statsmodels.datasets")
    oracle = datasets.elnino.load_pandas().data
    built_in = load_dataset("elnino")
    described(built_in)
    table = built_in.table
    assert table is not None
    assert len(table) == 61 * 12
    assert str(table.dates("month")[0]) == "1950-01"
    assert str(table.dates("month")[-1]) == "2010-12"
    values = table.number("temperature")
    for row, month in ((0, "JAN"), (30, "JUN"), (60, "DEC")):
        column = list(oracle.columns).index(month) - 1
        assert values[12 * row + column] == oracle[month].iloc[row]


@pytest.mark.parametrize("name", ["JapaneseVowels", "japanesevowels"])
def test_japanese_vowels_keep_their_own_split_and_have_time_first(name: str) -> None:
    datasets = pytest.importorskip("aeon.datasets")
    built_in = load_dataset(name)
    described(built_in)
    assert built_in.task == "classify"
    for part, split, count in ((built_in.train, "train", 270), (built_in.test, "test", 370)):
        assert part is not None
        utterances, speakers = datasets.load_japanese_vowels(split=split)
        assert len(part) == len(part.ids) == count
        assert part.labels is not None
        assert part.labels.tolist() == speakers.tolist()
        assert {array.shape[1] for array in part.arrays} == {12} == {len(part.features)}
        assert min(map(len, part.arrays)) >= 7
        assert max(map(len, part.arrays)) <= 29
        for array, utterance in zip(part.arrays, utterances, strict=True):
            np.testing.assert_array_equal(array, np.transpose(utterance))
            assert array.flags.c_contiguous
    assert built_in.train is not None
    assert sorted(set(built_in.train.labels.tolist())) == [str(speaker) for speaker in range(1, 10)]


@pytest.mark.costly
def test_bach_is_the_pitch_that_sounds_in_each_sixteenth() -> None:
    corpus = pytest.importorskip("music21.corpus")
    built_in = load_dataset("Bach", limit=2)
    described(built_in)
    chorales = built_in.train
    assert chorales is not None
    assert len(chorales) == 2
    assert chorales.ids == ("bwv10.7", "bwv101.7")
    for name, grid in zip(chorales.ids, chorales.arrays, strict=True):
        score = corpus.parse(f"bach/{name}", forceSource=True)
        assert grid.shape == (round(score.highestTime * 4), 4)
        for number, part in enumerate(score.parts):
            notes = part.flatten().notesAndRests
            for step in range(0, len(grid), 5):
                sounding = [n for n in notes if n.offset <= step / 4 < n.offset + n.quarterLength]
                pitch = sounding[0].pitch.midi if sounding and sounding[0].isNote else 0
                assert grid[step, number] == pitch
    soprano, _, _, bass = np.concatenate(chorales.arrays).T
    assert soprano.mean() > bass.mean() > 36


@pytest.mark.parametrize("limit", [0, -1, 2.0, True])
def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    with pytest.raises(InputError, match="expected a whole number of at least 1"):
        load_dataset("bach", limit=limit)


def test_a_limit_is_for_bach_alone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="limit=3 was given for sunspots; expected a limit for 'bach' only"):
        load_dataset("sunspots", limit=3)
    with pytest.raises(InputError, match="limit=3 was given for the file"):
        open_data(tmp_path / "data.csv", limit=3)


@pytest.mark.parametrize(
    ("package", "name"),
    [("statsmodels", "co2"), ("statsmodels", "elnino"), ("aeon", "JapaneseVowels"), ("music21", "bach")],
)
def test_a_missing_package_is_answered_with_the_command_that_installs_it(
    package: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Absent:
        def find_spec(self, module: str, *_: object) -> None:
            if module.partition(".")[0] == package:
                raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    for module in [module for module in sys.modules if module.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    message = (
        rf"the package '{package}' is not installed and is needed to load {name}; .*pip install \"longlag\[data\]\""
    )
    with pytest.raises(InputError, match=message):
        load_dataset(name)


def test_a_package_that_does_not_work_is_answered_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(module: str) -> None:
        raise ImportError(f"{module} needs an older NumPy.\nSecond line")

    monkeypatch.setattr("importlib.import_module", broken)
    message = (
        r"'aeon' is needed to load JapaneseVowels but cannot be imported \(aeon.datasets needs an older NumPy\); exp"
    )
    with pytest.raises(InputError, match=message):
        load_dataset("JapaneseVowels")


def test_a_name_that_is_nothing_is_answered_with_the_menu_and_the_closest() -> None:
    for use in (load_dataset, open_data):
        with pytest.raises(InputError) as caught:
            use("sunspot")
        message = str(caught.value)
        assert message.startswith("'sunspot' is neither a file nor a built-in data set; expected a file (.csv, ")
        assert all(name in message for name in dataset_names())
        assert message.endswith("; did you mean 'sunspots'?")
        with pytest.raises(InputError, match=r"one of sunspots, co2, elnino, JapaneseVowels, bach$"):
            use("qqqq")


def test_a_name_or_a_file_can_be_opened_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.csv").write_text("x\n1\n")
    opened = open_data(str(tmp_path / "data.csv"))
    assert isinstance(opened, Table)
    assert opened.number("x").tolist() == [1.0]
    built_in = open_data(" SunSpots ")
    assert isinstance(built_in, BuiltIn)
    assert built_in.name == "sunspots"
    with pytest.raises(InputError, match="there is no file"):
        open_data("none.csv")
    with pytest.raises(InputError, match="neither a file nor a built-in"):
        open_data("x" * 5000)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.doc").write_text("x\n1\n")
    with pytest.raises(InputError, match=r"has the suffix '\.doc'; expected one of \.csv"):
        open_data("notes.doc")
