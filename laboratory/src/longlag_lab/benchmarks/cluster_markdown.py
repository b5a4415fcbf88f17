"""The document of ``longlag bench cluster`` as Markdown."""

from __future__ import annotations

from statistics import median
from typing import Any

from longlag_lab.harness.report import markdown_table

__all__ = ["BARS", "NAME", "bar_rows", "markdown", "summary", "warnings"]

NAME = "bench_cluster"
BUSY = 0.5  # processes that have or want a processor, on average, before anything is measured
BARS = ("what", "bar", "measured", "met")


def bar_rows(document: dict[str, Any]) -> list[list[str]]:
    """Return the bars as rows under ``BARS``."""
    words = {True: "yes", False: "NO", None: "-"}
    return [[bar["what"], bar["bar"], bar["measured"], words[bar["met"]]] for bar in document["bars"]]


def summary(document: dict[str, Any]) -> str:
    """Return what the five clients reach, in two sentences."""
    race = document["race"]
    return (
        f"Five clients reach {race['speed_up']:.2f}x the fastest alone, of a bound of {race['bound']:.2f}x: "
        f"{race['efficiency']:.1%}. Equal shares would reach {race['equal_speed_up']:.2f}x."
    )


def warnings(document: dict[str, Any]) -> list[str]:
    """Return reasons to doubt the times."""
    lines = []
    if document["quick"]:
        lines.append("A quick run: its numbers show that everything runs, and nothing else; bars are not for it.")
    if document["load_before"] > BUSY:
        lines.append(
            f"The machine was busy with something else (load {document['load_before']:.1f} before the measurement); "
            "measure again."
        )
    room = sum(client["speed"] for client in document["race"]["clients"])
    if document["machine"]["cores"] < room:
        lines.append(f"The clients need {room:g} cores, the machine has {document['machine']['cores']}.")
    return lines


def markdown(document: dict[str, Any]) -> str:
    """Return the document as Markdown."""
    where, machine, race, effort = document["environment"], document["machine"], document["race"], document["effort"]
    chunks = -(-race["samples"] // race["chunk"])
    killed = document["killed"]
    quick = " --quick" * document["quick"]
    lines = [
        f"# Clients of different speed{' (quick)' * document['quick']}",
        "",
        f"Written by `longlag bench cluster{quick}`, {document['date']}, in {document['seconds']:.0f} s. "
        f"{summary(document)}",
        "",
        *(f"**{line}**\n" for line in warnings(document)),
        f"{machine['cpu']}, {machine['cores']} cores; longlag {where['longlag']} ({where['commit']}), torch "
        f"{where['torch']}, numpy {where['numpy']}, Python {where['python']}, {where['platform']}. Seed "
        f"{effort['seed']}.",
        "",
        *markdown_table(BARS, bar_rows(document), numbers=True),
        "",
        "## Each alone and all together",
        "",
        f"The batch paper's setting (section 5.4.2): {race['samples']:,} sequences of {document['steps']} and "
        f"{document['steps'] + 1} steps (the problem's least), full-batch gradients, in float64. The network has "
        f"{race['cells']} memory cells and {race['weights']:,} weights, a chunk {race['chunk']} sequences, an "
        f"iteration {chunks} chunks. Clients are processes that compute and then sleep in proportion to the processor "
        "time they used. Medians: of iterations alone, and of some in a row together, taken in turn. Every gradient "
        "was compared with the oracle's, bit by bit. A chunk's milliseconds are processor time: what is dearer "
        "together is what the clients take from each other in caches and memory, or what else the machine does.",
        "",
        *markdown_table(
            ("client", "s alone", "relative speed", "chunk ms alone", "chunk ms together"),
            [*_client_rows(race), _together_row(race)],
            numbers=True,
        ),
        "",
        f"S / s_max of the measured speeds: {race['bound']:.3f}. Reached: {race['speed_up']:.3f}. With equal shares "
        f"everybody waits for the slowest: {median(race['equal']):.3g} s, {race['equal_speed_up']:.3f} times as fast "
        "as the fastest alone.",
        "",
        "## Time of an iteration against the size of the network",
        "",
        f"![Each client alone, and all together]({NAME}.png)",
        "",
        "The default cut into chunks, seconds.",
        "",
        *markdown_table(_figure_columns(document), _figure_rows(document), numbers=True),
        "",
        "## What sharing costs",
        "",
        *markdown_table(
            ("executor", "weights", "ms per iteration", "ms per chunk"), _overhead_rows(document), numbers=True
        ),
        "",
        "Parameters are sent and gradients fetched; nothing is computed between.",
        "",
        f"A worker of {killed['workers']} was killed halfway through an iteration, {len(killed['disturbed'])} times "
        f"over: {median(killed['disturbed']):.3f} s instead of {median(killed['undisturbed']):.3f} s, with chunks of "
        f"{killed['chunk']:.3f} s each. The driver knew after {median(killed['detection']):.3f} s. There are more "
        "workers than cores, so that those left keep the cores as busy, and what is lost is all that is measured.",
    ]
    return "\n".join(lines) + "\n"


def _client_rows(race: dict[str, Any]) -> list[list[str]]:
    fastest = min(median(client["alone"]) for client in race["clients"])
    return [
        [
            f"{client['speed']:g} of a core",
            f"{median(client['alone']):.3f}",
            f"{fastest / median(client['alone']):.3f}",
            *(_milliseconds(client[name]) for name in ("chunk_alone", "chunk_together")),
        ]
        for client in race["clients"]
    ]


def _together_row(race: dict[str, Any]) -> list[str]:
    return ["all together", f"{median(race['together']):.3f}", f"{race['speed_up']:.3f}", "-", "-"]


def _figure_columns(document: dict[str, Any]) -> list[str]:
    return [
        "cells",
        "weights",
        *(f"{client['speed']:g}" for client in document["race"]["clients"]),
        "together",
        "speed-up",
        "bound",
    ]


def _figure_rows(document: dict[str, Any]) -> list[list[str]]:
    return [
        [
            str(race["cells"]),
            f"{race['weights']:,}",
            *(f"{median(client['alone']):.3g}" for client in race["clients"]),
            f"{median(race['together']):.3g}",
            f"{race['speed_up']:.2f}",
            f"{race['bound']:.2f}",
        ]
        for race in document["figure"]
    ]


def _overhead_rows(document: dict[str, Any]) -> list[list[str]]:
    return [
        [
            overhead["executor"],
            f"{overhead['weights']:,}",
            overhead["note"] or _milliseconds(overhead["seconds"]),
            _milliseconds(None if overhead["seconds"] is None else overhead["seconds"] / overhead["chunks"]),
        ]
        for overhead in document["overheads"]
    ]


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1e3 * seconds:.3g}"
