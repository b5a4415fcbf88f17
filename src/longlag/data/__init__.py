"""Data: ragged batches, tables from files, splits, windows, scaling, and the built-in data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longlag.data.builtin import BuiltIn, dataset_names, load_dataset, open_data
from longlag.data.grouping import Sequences, rows_as_sequences, sequences_by
from longlag.data.scale import Standardizer
from longlag.data.split import Split, chronological_split, random_split
from longlag.lazy import lazy
from longlag.panels.calendar import Frequency
from longlag.panels.calendar_features import calendar_features, calendar_names
from longlag.panels.continuation import Continuation
from longlag.panels.panel import Panel
from longlag.renamed import renamed
from longlag.tables.delimited import read_csv
from longlag.tables.parquet import read_parquet
from longlag.tables.readers import read_table
from longlag.tables.table import Table
from longlag.tables.table_format import TableFormat

if TYPE_CHECKING:
    from longlag.data.sequences import SequenceBatch
    from longlag.data.windows import forecast_windows, horizon_windows

__all__ = [
    "BuiltIn",
    "Continuation",
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

# A table can be read and forecast without PyTorch, whose import takes seconds.
__getattr__ = lazy(
    __name__,
    {"SequenceBatch": "sequences", "forecast_windows": "windows", "horizon_windows": "windows"},
    otherwise=renamed(__name__, {"EvenTimes": "Frequency", "load": "load_dataset", "names": "dataset_names"}),
)
