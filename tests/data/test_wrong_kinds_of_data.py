"""What is of a wrong kind is refused in one sentence, whatever public function of the package's data it is given to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longlag.data import (
    Frequency,
    Panel,
    SequenceBatch,
    Sequences,
    Standardizer,
    Table,
    TableFormat,
    chronological_split,
    forecast_windows,
    horizon_windows,
    load_dataset,
    open_data,
    random_split,
    read_csv,
    read_parquet,
    read_table,
    rows_as_sequences,
    sequences_by,
)
from longlag.data.flat import FlatSequences
from longlag.errors import InputError

BATCH = SequenceBatch.last_step([torch.zeros(3, 2)], torch.zeros(1, 1))
FLAT = FlatSequences.from_batch(BATCH)
TABLE = Table.from_arrays({"a": [1, 2, 3], "b": ["x", "y", "z"]})
SEQUENCES = sequences_by(TABLE, "b", ["a"])
SCALE = Standardizer.fit(np.eye(3))
ONE = [torch.zeros(3, 2)]
SERIES = np.arange(10.0)
Call = tuple[Callable[..., object], dict[str, Any]]

CALLS: dict[str, Call] = {
    "SequenceBatch": (SequenceBatch, dict(vars(BATCH))),
    "last_step": (SequenceBatch.last_step, {"sequences": ONE, "targets": torch.zeros(1, 1), "dtype": None}),
    "every_step": (SequenceBatch.every_step, {"sequences": ONE, "targets": [torch.zeros(3, 1)], "dtype": None}),
    "SequenceBatch.select": (BATCH.select, {"samples": torch.tensor([0])}),
    "SequenceBatch.slice": (BATCH.slice, {"start": 0, "stop": 1}),
    "SequenceBatch.window": (BATCH.window, {"start": 0, "stop": 1}),
    "FlatSequences": (FlatSequences, {field.name: getattr(FLAT, field.name) for field in dataclasses.fields(FLAT)}),
    "FlatSequences.select": (FLAT.select, {"samples": np.array([0])}),
    "from_batch": (FlatSequences.from_batch, {"batch": BATCH}),
    "from_arrays": (Table.from_arrays, {"columns": {"a": [1]}}),
    "Table": (Table, {"columns": TABLE.columns, "source": "x", "lines": TABLE.lines}),
    "kind": (TABLE.kind, {"name": "a"}),
    "number": (TABLE.number, {"name": "a", "missing": "nan"}),
    "numbers": (TABLE.numbers, {"names": ["a"]}),
    "dates": (TABLE.dates, {"name": "a"}),
    "text": (TABLE.text, {"name": "a"}),
    "sequences_by": (
        sequences_by,
        {"table": TABLE, "sequence_column": "b", "feature_columns": ["a"], "label_column": "b"},
    ),
    "rows_as_sequences": (rows_as_sequences, {"table": TABLE, "feature_columns": ["a"], "label_column": "b"}),
    "Sequences.select": (SEQUENCES.select, {"samples": np.array([0])}),
    "chronological_split": (chronological_split, {"n": 10, "test": 0.3, "validation": 0}),
    "random_split": (random_split, {"n": 10, "held_out": 3, "seed": 0, "classes": None}),
    "Standardizer": (Standardizer, {"mean": np.zeros(2), "scale": np.ones(2)}),
    "Standardizer.fit": (Standardizer.fit, {"training": np.eye(3)}),
    "transform": (SCALE.transform, {"values": np.eye(3)}),
    "inverse": (SCALE.inverse, {"values": np.eye(3)}),
    "from_state": (Standardizer.from_state, {"state": SCALE.state()}),
    "forecast_windows": (
        forecast_windows,
        {"series": SERIES, "length": 3, "exogenous": None, "stride": 1, "warm_up": 0, "dtype": None},
    ),
    "horizon_windows": (
        horizon_windows,
        {"series": SERIES, "length": 3, "horizon": 2, "exogenous": None, "stride": 1, "dtype": None},
    ),
    "load_dataset": (load_dataset, {"name": "sunspots", "limit": None}),
    "open_data": (open_data, {"what": "sunspots", "limit": None, "form": None}),
    "read_csv": (read_csv, {"path": "x.csv", "delimiter": ",", "form": None}),
    "read_table": (read_table, {"path": "x.csv", "form": None}),
    "TableFormat": (
        TableFormat,
        {"separator": ";", "decimal": ",", "encoding": "utf-8", "date_format": "%d", "missing": ("-",)},
    ),
    "times": (TABLE.times, {"name": "a"}),
    "read_parquet": (read_parquet, {"path": "x.parquet"}),
    "Frequency": (Frequency, {"unit": "M", "step": 1, "anchor": 31}),
    "Frequency.of": (Frequency.of, {"times": SERIES}),
    "Frequency.after": (Frequency("D").after, {"last": "2001-01-01", "steps": 2}),
    "Panel.from_table": (
        Panel.from_table,
        {
            "table": TABLE,
            "target": "a",
            "time": None,
            "id": None,
            "known": (),
            "past": (),
            "static": (),
            "duplicates": "refuse",
            "gaps": "auto",
            "frequency": None,
            "categories": None,
        },
    ),
    "Panel.from_arrays": (Panel.from_arrays, {"values": SERIES, "times": None, "ids": None}),
}

WRONG: dict[str, Any] = {
    "None": None,
    "text": "x",
    "a number": 3,
    "a fraction": 1.5,
    "True": True,
    "an empty list": [],
    "a dict": {},
    "None in a list": [None],
    "text in a list": ["a", 1],
    "an object": object(),
    "an array of text": np.array(["a"]),
    "a complex array": np.array([1 + 1j]),
    "a complex tensor": torch.zeros(2, dtype=torch.complex64),
    "a huge number": 2**70,
    "NaN": float("nan"),
    "a meta tensor": torch.zeros(2, device="meta"),
    "a sparse tensor": torch.zeros(2, 2).to_sparse(),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("a\n1\n", encoding="utf-8")


@pytest.mark.parametrize("call", CALLS)
def test_an_argument_of_a_wrong_kind_is_refused_in_one_sentence_or_is_none(call: str) -> None:
    function, arguments = CALLS[call]
    for name in arguments:
        for wrong, value in WRONG.items():
            try:
                function(**{**arguments, name: value})
                sentence = ""
            except InputError as refusal:
                sentence = str(refusal)
            except Exception as error:
                raise AssertionError(f"{name} is {wrong}") from error
            assert "\n" not in sentence, (name, wrong)
            assert len(sentence) < 500, (name, wrong)


def test_sequences_keep_their_labels_when_some_are_chosen() -> None:
    sequences = Sequences(SEQUENCES.arrays, SEQUENCES.ids, SEQUENCES.features, np.array([1.0, 2.0, 3.0]))
    chosen = sequences.select(np.array([2, 0, 2]))
    assert chosen.ids == ("z", "x", "z")
    assert chosen.labels is not None
    assert chosen.labels.tolist() == [3.0, 1.0, 3.0]
    assert [array[0, 0] for array in chosen.arrays] == [3.0, 1.0, 3.0]


# -- devices -----------------------------------------------------------------------------------------------------------


def made() -> list[Any]:
    batches = [
        SequenceBatch.last_step([np.ones((3, 2)), np.ones((1, 2))], np.ones((2, 1))),
        SequenceBatch.every_step([np.ones((3, 2)), np.ones((1, 2))], [np.zeros(3), np.zeros(1)]),
        forecast_windows(SERIES, 3, warm_up=1),
        horizon_windows(SERIES, 3, 2),
        FLAT.to_batch(),
    ]
    return [
        *batches,
        batches[0].window(1, 3),
        batches[0].select(torch.tensor([1], device="cpu")),
        batches[0].slice(0, 1),
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torchs_default_device_does_not_matter(dtype: torch.dtype) -> None:
    torch.set_default_dtype(dtype)
    expected = made()
    with torch.device("meta"):
        batches = made()
        assert all(FlatSequences.from_batch(batches[0]).lengths == [3, 1])
        masks = [batch.step_mask for batch in batches]
    for batch, other, mask in zip(batches, expected, masks, strict=True):
        assert torch.equal(mask, other.step_mask)
        for number, (tensor, wanted) in enumerate(zip(batch.tensors, other.tensors, strict=True)):
            assert torch.equal(tensor, wanted), number


def test_a_batch_stands_on_the_device_of_its_sequences() -> None:
    with pytest.raises(InputError, match="on meta; expected dense real numbers"):
        SequenceBatch.last_step([torch.zeros(3, 2, device="meta")], torch.zeros(1, 1))
