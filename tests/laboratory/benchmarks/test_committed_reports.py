"""The committed reports of the benchmarks are what today's code writes of the committed documents."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

DOCUMENTS = sorted((Path(__file__).parents[3] / "results").glob("bench_*.json"))
MODULES = {
    "bench_cpu": "cpu_report",
    "bench_gpu": "gpu_report",
    "bench_online": "online_report",
    "bench_cluster": "cluster_markdown",
    "bench_forecast": "forecast_report",
}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_a_committed_report_is_what_its_document_says(path):
    if path.stem == "bench_gpu":
        pytest.importorskip("triton", minversion="3.4")
    report = import_module(f"longlag_lab.benchmarks.{MODULES[path.stem]}")
    document = json.loads(path.read_text(encoding="utf-8"))
    assert path.with_suffix(".md").read_text(encoding="utf-8") == report.markdown(document)


def test_there_are_committed_reports():
    assert {path.stem for path in DOCUMENTS} >= {"bench_cpu", "bench_online", "bench_cluster"}
