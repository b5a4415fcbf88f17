"""Data: ragged batches, tables from files, splits, windows, scaling, and the built-in data sets."""

from __future__ import annotations

from longlag.data.builtin import BuiltIn, dataset_names, load_dataset, open_data
from longlag.data.grouping import Sequences, rows_as_sequences, sequences_by
from longlag.data.scale import Standardizer
from longlag.data.sequences import SequenceBatch
from longlag.data.split import Split, chronological_split, random_split
from longlag.data.windows import forecast_windows, horizon_windows
from longlag.panels.calendar import Frequency
from longlag.panels.calendar_features import calendar_features, calendar_names
from longlag.panels.continuation import Continuation
from longlag.panels.panel import Panel
from longlag.panels.times import EvenTimes
from longlag.renamed import renamed
from longlag.tables.delimited import read_csv
from longlag.tables.parquet import read_parquet
from longlag.tables.readers import read_table
from longlag.tables.table import Table
from longlag.tables.table_format import TableFormat

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
