"""The experiments of the batch paper, as the harness runs them."""

from __future__ import annotations

from longlag_lab.batch2013.jobs import Job, each_trial, perform
from longlag_lab.batch2013.outcome import Outcome
from longlag_lab.batch2013.report import FOLDER, record, table
from longlag_lab.batch2013.selection import LIST_COLUMNS, NAMES, select
from longlag_lab.harness.experiment import Experiment

__all__ = ["EXPERIMENT"]

EXPERIMENT = Experiment[Job, Outcome](
    folder=FOLDER,
    names=NAMES,
    list_columns=LIST_COLUMNS,
    select=select,
    step="evaluations",
    read_outcome=Outcome.from_plain,
    group=each_trial,
    perform=perform,
    record=record,
    table=lambda job: table(job.case.figure),
)
