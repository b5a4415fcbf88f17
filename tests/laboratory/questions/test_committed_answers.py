"""The committed answers to questions are what today's code writes of their documents."""

from __future__ import annotations

import json
from pathlib import Path

from longlag.pretrained.weights import FOLDER
from longlag_lab.questions import (
    classification_sets,
    readings_1997,
    sunspots_seeds,
    write_answer,
    zero_shot,
    zero_shot_limits,
)

RESULTS = Path(__file__).parents[3] / "results"


def read(name):
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def test_the_readings_of_the_1997_paper():
    document = read("hochreiter1997/readings")
    known = document["readings"]
    assert readings_1997.merged(known, [known[3]]) == known
    assert readings_1997.markdown(known) == (RESULTS / "hochreiter1997" / "readings.md").read_text(encoding="utf-8")


def test_the_seeds_of_the_sunspot_forecaster():
    text = (RESULTS / "sunspots_seeds.md").read_text(encoding="utf-8")
    assert sunspots_seeds.markdown(read("sunspots_seeds")) == text


def test_the_sets_of_sequences_to_classify():
    document = read("classification_sets")
    text = (RESULTS / "classification_sets.md").read_text(encoding="utf-8")
    assert classification_sets.markdown(document) == text
    accuracy = {entry["set"]: sum(entry["LSTM"]) / len(entry["LSTM"]) for entry in document["sets"]}
    assert tuple(accuracy) == classification_sets.SETS
    assert accuracy["BasicMotions"] >= 0.95
    assert accuracy["JapaneseVowels"] >= 0.97


def test_the_forecasts_without_training():
    document = read("zero_shot")
    assert zero_shot.markdown(document) == (RESULTS / "zero_shot.md").read_text(encoding="utf-8")
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    assert document["weights"]["sha256"] == manifest["sha256"], "the figures are those of other weights"


def test_where_forecasts_without_training_fail():
    document = read("zero_shot_limits")
    assert zero_shot_limits.markdown(document) == (RESULTS / "zero_shot_limits.md").read_text(encoding="utf-8")
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    assert document["weights"]["sha256"] == manifest["sha256"], "the figures are those of other weights"


def test_an_answer_is_printed_and_written_from_one_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_answer("question", {"found": 3}, lambda document: f"It is {document['found']}.\n")
    assert capsys.readouterr().out == Path("results/question.md").read_text(encoding="utf-8") == "It is 3.\n"
    assert json.loads(Path("results/question.json").read_text(encoding="utf-8")) == {"found": 3}


def test_the_overhead_of_a_step_names_what_was_measured():
    for times in read("step_overhead")["microseconds"].values():
        assert {"step", "step in place", "kernel", "nn.LSTMCell"} <= times.keys()


def test_every_document_in_the_results_is_a_benchmark_or_an_answer():
    answers = {"classification_sets", "step_overhead", "sunspots_seeds", "zero_shot", "zero_shot_limits"}
    assert {path.stem for path in RESULTS.glob("*.json") if not path.stem.startswith("bench_")} == answers
