"""The experiments of the 1997 paper, as the harness runs them."""

from __future__ import annotations

from longlag_lab.harness.experiment import Experiment
from longlag_lab.hochreiter1997.jobs import Job, group_alike
from longlag_lab.hochreiter1997.outcome import Outcome
from longlag_lab.hochreiter1997.perform import perform
from longlag_lab.hochreiter1997.report import FOLDER, record, table
from longlag_lab.hochreiter1997.selection import LIST_COLUMNS, NAMES, select

__all__ = ["EXPERIMENT"]

EXPERIMENT = Experiment[Job, Outcome](
    folder=FOLDER,
    names=NAMES,
    list_columns=LIST_COLUMNS,
    select=select,
    step="sequences",
    read_outcome=Outcome.from_plain,
    group=group_alike,
    perform=perform,
    record=record,
    table=lambda job: table(job.row.table),
)
