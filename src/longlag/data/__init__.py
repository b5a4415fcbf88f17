"""Data: ragged batches, tables from files, splits, windows, scaling, and the built-in data sets."""

from __future__ import annotations

from longlag.data.builtin import BuiltIn, dataset_names, load_dataset, open_data
from longlag.data.calendar import Frequency
from longlag.data.calendar_features import calendar_features, calendar_names
from longlag.data.continuation import Continuation
from longlag.data.delimited import read_csv
from longlag.data.grouping import Sequences, rows_as_sequences, sequences_by
from longlag.data.panel import Panel
from longlag.data.parquet import read_parquet
from longlag.data.readers import read_table
from longlag.data.scale import Standardizer
from longlag.data.sequences import SequenceBatch
from longlag.data.split import Split, chronological_split, random_split
from longlag.data.table import Table
from longlag.data.table_format import TableFormat
from longlag.data.times import EvenTimes
from longlag.data.windows import forecast_windows, horizon_windows
from longlag.renamed import renamed

__all__ = [
    "BuiltIn",
    "Continuation",
    "EvenTimes",
    "Frequency",
    "Panel",
    "SequenceBatch",
    "Sequences",
    "Split",
    "Standardizer",
    "Table",
    "TableFormat",
    "calendar_features",
    "calendar_names",
    "chronological_split",
    "dataset_names",
    "forecast_windows",
    "horizon_windows",
    "load_dataset",
    "open_data",
    "random_split",
    "read_csv",
    "read_parquet",
    "read_table",
    "rows_as_sequences",
    "sequences_by",
]

__getattr__ = renamed(__name__, {"load": "load_dataset", "names": "dataset_names"})
