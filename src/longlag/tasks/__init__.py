"""Synthetic tasks with long time lags, and the criteria by which a network has solved them."""

from __future__ import annotations

from longlag.tasks.lags import DistractorLag, NoiseFreeLag, NoRegularityLag
from longlag.tasks.limits import Counting, DelayedXor, Parity
from longlag.tasks.marked import Adding, Multiplication
from longlag.tasks.reber import EmbeddedReber
from longlag.tasks.rules import AllStrings, FreshRun, RecentRun, Rule, TestSet
from longlag.tasks.task import Task
from longlag.tasks.temporal_order import TemporalOrder
from longlag.tasks.two_sequence import TwoSequence

__all__ = [
    "Adding",
    "AllStrings",
    "Counting",
    "DelayedXor",
    "DistractorLag",
    "EmbeddedReber",
    "FreshRun",
    "Multiplication",
    "NoRegularityLag",
    "NoiseFreeLag",
    "Parity",
    "RecentRun",
    "Rule",
    "Task",
    "TemporalOrder",
    "TestSet",
    "TwoSequence",
]
