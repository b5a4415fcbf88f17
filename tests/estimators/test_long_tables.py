"""Long tables, a row for each step: the sequences they hold are learned and answered, whatever frame and order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.metrics import accuracy_score, r2_score

from longlag.data import Table
from longlag.errors import InputError
from longlag.estimators import LSTMClassifier, LSTMRegressor, load

QUICK: dict[str, Any] = {"n_networks": 1, "hidden_size": 3, "max_epochs": 2, "random_state": 0}
RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(1, 6, 14)
NAMES = np.array([f"s{number:02d}" for number in range(14)], dtype=object)
SEQUENCES = [RNG.normal(size=(length, 2)) for length in LENGTHS]
KINDS = np.array(["up", "down"] * 7, dtype=object)
SCORES = RNG.normal(size=14)
COUNTS = np.arange(14) % 3 + 0.5


def frame(order: int | None = 0) -> pd.DataFrame:
    """The sequences as a long table, its rows in the order that a seed decides."""
    table = pd.DataFrame(
        {
            "name": np.repeat(NAMES, LENGTHS),
            "at": pd.Timestamp("2024-02-27")
            + pd.to_timedelta(np.concatenate([np.arange(length) for length in LENGTHS]), "D"),
            "a": np.concatenate(SEQUENCES)[:, 0],
            "b": np.concatenate(SEQUENCES)[:, 1],
            "kind": np.repeat(KINDS, LENGTHS),
            "score": np.repeat(SCORES, LENGTHS),
            "count": np.repeat(COUNTS, LENGTHS),
        }
    )
    return table if order is None else table.sample(frac=1, random_state=order)


FRAMES: dict[str, Any] = {
    "pandas": lambda table: table,
    "polars": pl.from_pandas,
    "arrow": lambda table: pa.Table.from_pandas(table, preserve_index=False),
    "dict": lambda table: {name: table[name].to_numpy() for name in table},
    "table": lambda table: Table.from_arrays({name: table[name].to_numpy() for name in table}),
}


def columns(answer: Any) -> dict[str, list[Any]]:
    """A frame of whatever kind, or a dict, as lists."""
    if isinstance(answer, dict):
        return {name: values.tolist() for name, values in answer.items()}
    if isinstance(answer, pa.Table):
        return dict(answer.to_pydict())
    return {name: answer[name].to_list() for name in answer.columns}


@pytest.mark.costly
@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_in_any_order_is_classified_as_its_sequences(kind: str) -> None:
    data = FRAMES[kind](frame())
    model = LSTMClassifier(**QUICK).fit(data, None, "count", id="name", time="at", target="kind", features=["a", "b"])
    alone = LSTMClassifier(**QUICK).fit(SEQUENCES, KINDS, COUNTS)
    answer = model.predict(data)
    assert type(answer) is (dict if kind in ("dict", "table") else type(data))
    assert columns(answer) == {"name": NAMES.tolist(), "kind": alone.predict(SEQUENCES).tolist()}
    shares = columns(model.predict_proba(data))
    assert list(shares) == ["name", "down", "up"]
    np.testing.assert_array_equal(np.stack([shares["down"], shares["up"]], axis=1), alone.predict_proba(SEQUENCES))
    assert model.score(data) == accuracy_score(KINDS, alone.predict(SEQUENCES))
    np.testing.assert_array_equal(model.predict_proba(SEQUENCES), alone.predict_proba(SEQUENCES))  # as arrays too


def test_a_frame_in_any_order_is_regressed_as_its_sequences() -> None:
    data = frame().drop(columns=["kind", "count"])
    model = LSTMRegressor(**QUICK).fit(data, id="name", time="at", target="score")
    alone = LSTMRegressor(**QUICK).fit(SEQUENCES, SCORES)
    assert model.columns_ is not None
    assert model.columns_.features == ("a", "b")
    expected = pd.DataFrame({"name": NAMES, "score": alone.predict(SEQUENCES)})
    pd.testing.assert_frame_equal(model.predict(data), expected, check_dtype=False)
    assert model.score(data) == pytest.approx(r2_score(SCORES, alone.predict(SEQUENCES)), rel=1e-12)


def test_answers_need_no_column_of_answers() -> None:
    model = LSTMRegressor(**QUICK).fit(frame(), id="name", time="at", target="score", features=["a"])
    pd.testing.assert_frame_equal(model.predict(frame(3)[["name", "at", "a"]]), model.predict(frame()))


def test_names_and_classes_of_whole_numbers_stay_whole() -> None:
    data = frame()[["name", "at", "a"]].assign(name=lambda table: table["name"].str[1:].astype(int))
    data["kind"] = data["name"] % 3 + 10
    model = LSTMClassifier(**QUICK).fit(data, id="name", time="at", target="kind")
    assert model.classes_.tolist() == [10, 11, 12]
    assert model.classes_.dtype.kind == "i"
    answer = model.predict(data)
    assert answer["name"].tolist() == list(range(14))
    assert answer["name"].dtype.kind == answer["kind"].dtype.kind == "i"


def test_rows_without_a_time_stand_together_in_their_order() -> None:
    options: dict[str, Any] = {"id": "name", "target": "kind", "features": ["a", "b"]}
    plain, timed = (LSTMClassifier(**QUICK).fit(frame(None), **options, time=time) for time in (None, "at"))
    pd.testing.assert_frame_equal(plain.predict_proba(frame(None)), timed.predict_proba(frame()))
    with pytest.raises(InputError, match="comes back after other rows"):
        LSTMClassifier(**QUICK).fit(frame(), **options)


def test_times_that_repeat_or_are_left_out_follow_the_options() -> None:
    options: dict[str, Any] = {"id": "name", "time": "at", "target": "score", "features": ["a"]}
    twice = pd.concat([frame(), frame().iloc[:1]])
    with pytest.raises(InputError, match="stands in row 1 already"):
        LSTMRegressor(**QUICK).fit(twice, **options)
    merged = LSTMRegressor(**QUICK).fit(twice, **options, duplicates="mean")
    whole = LSTMRegressor(**QUICK).fit(frame(), **options)
    pd.testing.assert_frame_equal(merged.predict(twice), whole.predict(frame()))
    table = frame()
    longest = NAMES[LENGTHS.argmax()]
    second = (table["name"] == longest) & (table["at"] == pd.Timestamp("2024-02-28"))
    with pytest.raises(InputError, match=r"2024-02-29 of series .* comes 2 steps after 2024-02-27"):
        LSTMRegressor(**QUICK).fit(table[~second], **options)
    filled = LSTMRegressor(**QUICK).fit(table[~second], **options, gaps="fill").predict(table[~second])
    assert len(filled) == 14


def test_a_model_of_a_long_table_comes_back(tmp_path: Path) -> None:
    options: dict[str, Any] = {"id": "name", "time": "at", "features": ["a", "b"]}
    for model in (
        LSTMClassifier(**QUICK).fit(frame(), **options, target="kind"),
        LSTMRegressor(**QUICK).fit(frame(), **options, target="score"),
    ):
        model.save(tmp_path / type(model).__name__)
        loaded: Any = load(tmp_path / type(model).__name__)
        assert loaded.columns_ == model.columns_
        pd.testing.assert_frame_equal(loaded.predict(frame(2)), model.predict(frame(2)))


def test_a_warm_start_on_another_table_is_refused_and_the_model_stays() -> None:
    model = LSTMClassifier(warm_start=True, **QUICK)
    model.fit(frame(), id="name", time="at", target="kind", features=["a", "b"])
    before = model.predict_proba(frame())
    with pytest.raises(InputError, match="X has 1 features per step"):
        model.fit(frame(), id="name", time="at", target="kind", features=["a"])
    pd.testing.assert_frame_equal(model.predict_proba(frame()), before)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (frame(), {"target": "kind"}, "target is 'kind', but id is None; expected the column that names sequences"),
        (frame(), {"time": "at"}, "time is 'at', but id is None"),
        (frame(), {"id": "name"}, "id is 'name', but target is None"),
        (frame(), {"id": "name", "target": "kind", "y": KINDS}, "y was given beside a long table"),
        (frame(), {"id": "name", "target": "kind", "sample_weight": COUNTS}, "sample_weight is no name"),
        (SEQUENCES, {"id": "name", "target": "kind"}, "id is 'name', but X is a list; expected a data frame"),
        (frame(), {"id": "names", "target": "kind"}, "no column 'names'.*did you mean 'name'"),
        (frame(), {"id": "name", "target": "kind", "time": "at", "gaps": "mask"}, "gaps is 'mask'"),
        (frame(), {"id": "name", "target": "kind", "duplicates": "last"}, "were given without a time_column"),
    ],
    ids=lambda value: str(value)[:25] if isinstance(value, str) else "",
)
@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor])
def test_what_is_no_long_table_is_refused(kind: Any, data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**QUICK).fit(data, **options)
