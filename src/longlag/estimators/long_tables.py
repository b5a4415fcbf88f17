"""Long tables as a classifier and a regressor read them: a row for each step, columns by what they are for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from longlag.checks import one_of
from longlag.data.grouping import Sequences, sequences_by
from longlag.errors import InputError
from longlag.estimators.saving import check_keys
from longlag.panels.rows import Duplicates, Gaps
from longlag.panels.time_columns import column_parts
from longlag.tables.frames import FrameKind, is_frame, table_of_frame
from longlag.tables.table import Table

__all__ = ["LongTable", "LongTableColumns", "ReadsLongTables", "is_long_table"]


def is_long_table(data: Any) -> bool:
    """Whether data have columns with names: a table, a mapping, a data frame."""
    return isinstance(data, (Table, dict)) or is_frame(data)


@dataclass(frozen=True, eq=False)
class LongTable:
    """The sequences of a long table, and of what kind it was.

    kind : of data frame, or None where it was none
    """

    sequences: Sequences
    kind: FrameKind | None

    def answers(self, name: str, columns: Mapping[str, NDArray[Any]]) -> Any:
        """A frame of the same kind, or a dict, with a row for each sequence: its name, and columns of answers.

        ``name`` is the column with the names of the sequences.
        """
        if name in columns:
            raise InputError(f"the sequences' column and a class are both called {name!r}; expected two names")
        ids = np.empty(len(self.sequences), dtype=object)
        ids[:] = self.sequences.ids
        whole = {name: ids, **columns}
        return whole if self.kind is None else self.kind.frame(whole)


@dataclass(frozen=True)
class LongTableColumns:
    """The columns of a long table by what they are for, and what becomes of its rows, as plain data.

    target : what is to be answered, the same in all rows of a sequence
    id : which sequence a row belongs to
    time : of each row, or None where the rows of a sequence stand together in their order
    features : the numbers of a step
    duplicates, gaps : as ``longlag.data.sequences_by`` has them
    """

    target: str
    id: str
    time: str | None
    features: tuple[str, ...]
    duplicates: Duplicates
    gaps: Gaps

    @classmethod
    def of(
        cls,
        data: Any,
        *,
        target: str | None,
        id: str,
        time: str | None,
        features: Sequence[str] | None,
        weight: str | None,
        duplicates: Duplicates | None,
        gaps: Gaps | None,
    ) -> Self:
        """The columns of ``data``, whose other columns are features where nobody says which are.

        Raises
        ------
        InputError
            If the data have no columns, or no target was named.
        """
        if not is_long_table(data):
            raise InputError(
                f"id is {id!r}, but X is a {type(data).__name__}; expected a data frame, a dict or a Table"
            )
        if target is None:
            raise InputError(f"id is {id!r}, but target is None; expected the name of the column to answer")
        table, _ = _table(data)
        if features is None:
            others = {target, weight, *column_parts(table, id), *(() if time is None else column_parts(table, time))}
            features = [name for name in table.names if name not in others]
        features = (features,) if isinstance(features, str) else tuple(features)
        return cls(target, id, time, features, duplicates or "refuse", gaps or "auto")

    def read(self, data: Any, *, weight: str | None = None, labelled: bool = False) -> LongTable:
        """The sequences of a table with these columns; ``labelled`` with their targets. Raises as ``sequences_by``."""
        table, kind = _table(data)
        sequences = sequences_by(
            table,
            self.id,
            self.features,
            label_column=self.target if labelled else None,
            weight_column=weight,
            time_column=self.time,
            duplicates=self.duplicates,
            gaps=self.gaps,
        )
        return LongTable(sequences, kind)

    def state(self) -> dict[str, Any]:
        """Plain data, which ``from_state`` takes back."""
        return {**dataclasses.asdict(self), "features": list(self.features)}

    @classmethod
    def from_state(cls, state: Any) -> Self:
        """The columns whose ``state`` was saved. InputError if they are none."""
        check_keys("columns", state, {field.name for field in dataclasses.fields(cls)})
        one_of("duplicates", state["duplicates"], ("refuse", "mean", "last"))
        one_of("gaps", state["gaps"], ("auto", "fill", "refuse", "ignore"))
        names = [state["target"], state["id"], *([] if state["time"] is None else [state["time"]])]
        if not isinstance(state["features"], list) or not all(
            isinstance(name, str) for name in (*names, *state["features"])
        ):
            raise InputError(f"columns is {state!r}; expected names of columns")
        return cls(**{**state, "features": tuple(state["features"])})


class ReadsLongTables:
    """What an estimator needs to learn from a long table, and to answer one. ``fit`` sets ``columns_``."""

    columns_: LongTableColumns | None

    def _read_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        target: str | None,
        id: str | None,
        time: str | None,
        features: Sequence[str] | None,
        duplicates: Duplicates | None,
        gaps: Gaps | None,
    ) -> tuple[Any, Any, Any, LongTableColumns | None]:
        """What ``fit`` was given as sequences, answers and weights; with ``id`` they are columns of a long table.

        Raises
        ------
        InputError
            If columns are named without an id, or there are answers or weights beside a table that has them.
        """
        if id is None:
            named = {"target": target, "time": time, "features": features, "duplicates": duplicates, "gaps": gaps}
            for option, value in named.items():
                if value is not None:
                    raise InputError(f"{option} is {value!r}, but id is None; expected the column that names sequences")
            return X, y, sample_weight, None
        if y is not None:
            raise InputError("y was given beside a long table, which has its answers; expected target, and no y")
        if sample_weight is not None and not isinstance(sample_weight, str):
            raise InputError("sample_weight is no name, but X is a long table; expected the column that has them")
        columns = LongTableColumns.of(
            X,
            target=target,
            id=id,
            time=time,
            features=features,
            weight=sample_weight,
            duplicates=duplicates,
            gaps=gaps,
        )
        sequences = columns.read(X, weight=sample_weight, labelled=True).sequences
        return sequences.arrays, sequences.labels, sequences.weights, columns

    def _long_table(self, X: Any, *, labelled: bool = False) -> LongTable | None:
        """The sequences of X, if it is a long table and the model was fitted on one."""
        check_is_fitted(self)
        if self.columns_ is None or not is_long_table(X):
            return None
        return self.columns_.read(X, labelled=labelled)

    def _labelled(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Sequences and answers to be scored: y, or those of a long table."""
        table = None if y is not None else self._long_table(X, labelled=True)
        return (X, y) if table is None else (table.sequences.arrays, table.sequences.labels)


def _table(data: Any) -> tuple[Table, FrameKind | None]:
    if isinstance(data, Table):
        return data, None
    return (Table.from_arrays(data, "the data"), None) if isinstance(data, dict) else table_of_frame(data)
