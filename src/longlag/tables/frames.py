"""Data frames of the caller's own kind, in and out: pandas, Polars, Arrow and what else narwhals knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.checks import instance_of
from longlag.errors import InputError
from longlag.tables.arrow import local_days, typed_column
from longlag.tables.packages import require
from longlag.tables.table import Table

__all__ = ["FrameKind", "is_frame", "table_of_frame"]


@dataclass(frozen=True)
class FrameKind:
    """What kind of frame a table came from, as plain data: enough to give an answer of the same kind.

    backend : the name of its library, as narwhals has it
    index : the columns that were a pandas index
    zones : the time zones of columns of times
    clocks : of these the ones whose times were read as the zone's clocks show them; the others are in UTC
    whole : the columns of whole numbers, such as years and the numbers of shops
    periods : pandas' type of columns of periods
    """

    backend: str
    index: tuple[str, ...] = ()
    zones: Mapping[str, str] = field(default_factory=dict)
    clocks: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    periods: Mapping[str, str] = field(default_factory=dict)

    def frame(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        """A frame of columns (rows,), those that were an index as its index again, times in their zones.

        Years become whole numbers, and months the days they begin on. Columns that the first frame did not have
        are made as they are.
        """
        nw = _narwhals()
        instance_of("columns", columns, Mapping, "a mapping from names to arrays")
        backend: Any = self.backend
        plain = {name: _plain(values, name in self.whole) for name, values in columns.items()}
        try:
            made = nw.from_dict(plain, backend=backend)
        except (ImportError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"a frame of {self.backend!r} cannot be made ({error}); expected it to work") from error
        for name, zone in self.zones.items():
            if name in columns:
                times = nw.col(name).cast(nw.Datetime("us"))
                if name in self.clocks:
                    made = made.with_columns(times.dt.replace_time_zone(zone))
                else:
                    made = made.with_columns(times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone))
        native = nw.to_native(made)
        for name, period in self.periods.items():
            if name in columns:
                native[name] = native[name].astype(period)
        index = [name for name in self.index if name in columns]
        return native.set_index(index) if index else native


def _narwhals() -> ModuleType:
    """The library of all kinds of frames, loaded when the first frame comes."""
    return require("narwhals", "read data frames")


def is_frame(value: Any) -> bool:
    """Whether ``value`` is a data frame or a named series of a library that narwhals knows."""
    nw = _narwhals()
    return isinstance(
        nw.from_native(value, pass_through=True, allow_series=True), (nw.DataFrame, nw.LazyFrame, nw.Series)
    )


def table_of_frame(frame: Any, source: str = "the frame") -> tuple[Table, FrameKind]:
    """A table of a frame or series, and what kind of frame it was. A pandas index that says something is a column.

    Times in a zone are read in UTC; where all of them are midnights there, as the zone's days.

    Raises
    ------
    InputError
        If it is no frame, has no rows, a column without a name or two of one, or cells of no type that can be read.
    """
    nw = _narwhals()
    frame, index, periods = _without_index(frame)
    try:
        known = nw.from_native(frame, allow_series=True)
    except TypeError as error:
        raise InputError(
            f"{source} is a {type(frame).__name__}; expected a frame of pandas, Polars or Arrow, or arrays"
        ) from error
    if isinstance(known, nw.LazyFrame):
        known = known.collect()
    if isinstance(known, nw.Series):
        known = known.alias(known.name or "value").to_frame()
    try:
        arrow = known.to_arrow()
    except Exception as error:  # each library has its own complaints about cells of mixed types
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise InputError(f"{source} has cells that cannot be read ({reason}); expected one type in a column") from error
    kinds = require("pyarrow", "read data frames").types
    zones, clocks, whole, columns = {}, [], [], {}
    for name, column in zip(arrow.column_names, arrow.columns, strict=True):
        zone = getattr(column.type, "tz", None)
        if zone:
            zones[name] = zone
            column, is_clock = local_days(column)
            clocks += [name] if is_clock else []
        whole += [name] if kinds.is_integer(column.type) else []
        columns[name] = typed_column(column)
    if len(columns) < len(arrow.column_names):
        raise InputError(f"{source} has two columns of one name; expected names of their own")
    table = Table.of_columns(columns, source, np.arange(1, arrow.num_rows + 1), "row")
    return table, FrameKind(known.implementation.value, index, zones, tuple(clocks), tuple(whole), periods)


def _without_index(frame: Any) -> tuple[Any, tuple[str, ...], dict[str, str]]:
    """A pandas frame whose index, if it does more than to count the rows, stands in columns: their names.

    Periods become the days on which they begin; the third answer has their types.
    """
    nw = _narwhals()
    if not (nw.dependencies.is_pandas_dataframe(frame) or nw.dependencies.is_pandas_series(frame)):
        return frame, (), {}
    if nw.dependencies.is_pandas_series(frame):
        frame = frame.to_frame("value" if frame.name is None else frame.name)
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    names: tuple[str, ...] = ()
    if frame.index.nlevels > 1 or frame.index.name is not None or frame.index.dtype.kind not in "iu":
        names = tuple(
            str(name) if name is not None else "time" if _holds_times(level) else "index"
            for name, level in zip(frame.index.names, _levels(frame.index), strict=True)
        )
        columns = [*names, *frame.columns]
        twice = [name for name in names if columns.count(name) > 1]
        if twice:
            raise InputError(f"the frame's index and columns have the name {twice[0]!r} twice; expected two names")
        frame = frame.rename_axis(index=list(names)).reset_index()
    else:
        frame = frame.reset_index(drop=True)
    periods = {
        name: str(frame[name].dtype) for name in frame.columns if type(frame[name].dtype).__name__ == "PeriodDtype"
    }
    return frame.assign(**{name: frame[name].dt.to_timestamp() for name in periods}), names, periods


def _levels(index: Any) -> list[Any]:
    return [index.get_level_values(level) for level in range(index.nlevels)]


def _holds_times(level: Any) -> bool:
    return type(level.dtype).__name__ in ("PeriodDtype", "DatetimeTZDtype") or level.dtype.kind == "M"


def _plain(values: NDArray[Any], whole: bool) -> Any:
    """A column as every library takes it: dates by days or microseconds, whole numbers again, text as a list."""
    if whole and values.dtype.kind in "fO":
        return values.astype(np.float64).astype(np.int64)
    if values.dtype.kind == "M":
        unit = np.datetime_data(values.dtype)[0]
        if unit == "Y":
            return values.astype(np.int64) + 1970
        return values.astype("datetime64[D]") if unit in ("M", "W", "D") else values.astype("datetime64[us]")
    return values.tolist() if values.dtype == object else values
