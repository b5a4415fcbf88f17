"""How well, and how steadily, does LSTMClassifier with its defaults tell classes apart? Four sets, five seeds.

Beside it stands a random forest on each feature's mean and deviation. The sets come with aeon, which must be installed.
``python -m longlag_lab.questions.classification_sets`` writes results/classification_sets.json and .md.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from longlag.estimators import LSTMClassifier
from longlag.io.environment import environment
from longlag_lab.harness.report import markdown_table
from longlag_lab.questions import write_answer

__all__ = ["main", "markdown"]

SETS = ("BasicMotions", "ItalyPowerDemand", "ArrowHead", "JapaneseVowels")
SEEDS = range(5)

Part = tuple[list[NDArray[np.float64]], NDArray[Any]]


def _parts(name: str) -> tuple[Part, Part]:
    """Return the training and the test part of a set: sequences (steps, features), and labels."""
    from aeon.datasets import load_classification

    parts = [load_classification(name, split=split) for split in ("train", "test")]
    train, test = (([np.asarray(one, dtype=np.float64).T for one in X], np.asarray(y)) for X, y in parts)
    return train, test


def _moments(sequences: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return mean and deviation of each feature over the steps, (n, 2 features)."""
    return np.stack([np.concatenate([one.mean(axis=0), one.std(axis=0)]) for one in sequences])


def measure() -> dict[str, Any]:
    """Return accuracies on the test parts, for each set and seed."""
    sets = []
    for name in SETS:
        (sequences, labels), (unseen, truth) = _parts(name)
        began = time.process_time()
        networks = [LSTMClassifier(random_state=s).fit(sequences, labels).score(unseen, truth) for s in SEEDS]
        seconds = (time.process_time() - began) / len(SEEDS)
        tables = _moments(sequences), _moments(unseen)
        forests = [RandomForestClassifier(random_state=s).fit(tables[0], labels).score(tables[1], truth) for s in SEEDS]
        sizes = {"training": len(labels), "test": len(truth)}
        sets.append({"set": name, **sizes, "LSTM": networks, "forest": forests, "cpu_seconds": seconds})
    return {"seeds": list(SEEDS), "sets": sets, "environment": environment()}


def markdown(document: dict[str, Any]) -> str:
    """Return the document as Markdown."""
    where, seeds = document["environment"], document["seeds"]
    rows = [
        [
            entry["set"],
            f"{entry['training']} / {entry['test']}",
            *(
                f"{np.mean(entry[method]):.3f} ({min(entry[method]):.3f}-{max(entry[method]):.3f})"
                for method in ("LSTM", "forest")
            ),
            f"{entry['cpu_seconds']:.0f}",
        ]
        for entry in document["sets"]
    ]
    lines = [
        f"# Classification of sequences, seeds {seeds[0]} to {seeds[-1]}",
        "",
        "Accuracy on the test parts with the defaults of `LSTMClassifier`, beside a random forest on each feature's "
        "mean and deviation. Written by `python -m longlag_lab.questions.classification_sets`.",
        "",
        *markdown_table(
            ["set", "training / test", "LSTM: mean (range)", "forest: mean (range)", "CPU seconds a fit"], rows
        ),
        "",
        f"longlag {where['longlag']}, torch {where['torch']}, numpy {where['numpy']}, {where['cpu_capability']}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write the files."""
    write_answer("classification_sets", measure(), markdown)


if __name__ == "__main__":
    main()
