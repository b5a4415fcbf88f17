"""``longlag bench online``: nothing is timed that does not learn what PyTorch learns."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from equivalence.engines import needs_kernels
from longlag.errors import InputError, LonglagError
from longlag.online.reference import ReferenceNetworks
from longlag_lab.benchmarks import online, online_report

pytestmark = [pytest.mark.costly, needs_kernels]


def test_every_finding_is_measured_and_written(tmp_path):
    findings = online.measure(quick=True)
    assert all(np.isfinite(finding.nanoseconds) and finding.nanoseconds > 0 for finding in findings)
    assert {finding.bar for finding in findings} >= {"20 ns", "3000x", "0.3x"}
    document = online_report.document(findings, quick=True, seconds=1.0)
    json_path, text_path = online_report.write(tmp_path, document)
    assert len(json.loads(json_path.read_text())["findings"]) == len(findings)
    assert text_path.read_text().count("\n| ") == len(findings) + 2  # a head and a rule
    online_report.write(tmp_path, document)  # again: replaced


def test_nothing_is_timed_when_the_kernels_learn_something_else(monkeypatch):
    class Off(ReferenceNetworks):
        def read(self, streams, options):
            return super().read(streams, replace(options, learning_rate=2 * options.learning_rate))

    monkeypatch.setattr(online, "ReferenceNetworks", Off)
    with pytest.raises(LonglagError, match="nothing was timed"):
        online.measure(quick=True)


def test_without_kernels_there_is_nothing_to_measure(monkeypatch):
    monkeypatch.setattr(online.select, "native", None)
    with pytest.raises(InputError, match="nothing to measure"):
        online.measure(quick=True)
