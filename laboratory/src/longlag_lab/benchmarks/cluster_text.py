"""The document of `longlag bench cluster` for people."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

__all__ = ["BARS", "NAME", "bar_rows", "markdown", "summary", "warnings"]

NAME = "bench_cluster"
BUSY = 0.5  # processes that have or want a processor, on average, before anything is measured
BARS = ("what", "bar", "measured", "met")


def bar_rows(found: dict[str, Any]) -> list[list[str]]:
    """The bars, for ``BARS``."""
    words = {True: "yes", False: "NO", None: "-"}
    return [[bar["what"], bar["bar"], bar["measured"], words[bar["met"]]] for bar in found["bars"]]


def summary(found: dict[str, Any]) -> str:
    """The five clients in a sentence."""
    race = found["race"]
    return (
        f"Five clients reach {race['speed_up']:.2f}x the fastest alone, of a bound of {race['bound']:.2f}x: "
        f"{race['efficiency']:.1%}. Equal shares would reach {race['equal_speed_up']:.2f}x."
    )


def warnings(found: dict[str, Any]) -> list[str]:
    """What makes the times doubtful."""
    lines = []
    if found["quick"]:
        lines.append("A quick run: its numbers show that everything runs, and nothing else; bars are not for it.")
    if found["load_before"] > BUSY:
        lines.append(
            f"The machine was busy with something else (load {found['load_before']:.1f} before the measurement); "
            "measure again."
        )
    room = sum(client["speed"] for client in found["race"]["clients"])
    if found["machine"]["cores"] < room:
        lines.append(f"The clients need {room:g} cores, the machine has {found['machine']['cores']}.")
    return lines


def markdown(found: dict[str, Any]) -> str:
    """The document for people."""
    where, machine, race, effort = found["environment"], found["machine"], found["race"], found["effort"]
    chunks = -(-race["samples"] // race["chunk"])
    killed = found["killed"]
    quick = " --quick" * found["quick"]
    lines = [
        f"# Clients of different speed{' (quick)' * found['quick']}",
        "",
        f"Written by `longlag bench cluster{quick}`, {found['date']}, in {found['seconds']:.0f} s. {summary(found)}",
        "",
        *(f"**{line}**\n" for line in warnings(found)),
        f"{machine['cpu']}, {machine['cores']} cores; longlag {where['longlag']} ({where['commit']}), torch "
        f"{where['torch']}, numpy {where['numpy']}, Python {where['python']}, {where['platform']}. Seed "
        f"{effort['seed']}.",
        "",
        *_table(BARS, bar_rows(found)),
        "",
        "## Each alone and all together",
        "",
        f"The batch paper's setting (section 5.4.2): {race['samples']:,} sequences of {found['steps']} and "
        f"{found['steps'] + 1} steps (the problem's least), full-batch gradients, in float64. The network has "
        f"{race['cells']} memory cells and {race['weights']:,} weights, a chunk {race['chunk']} sequences, an "
        f"iteration {chunks} chunks. Clients are processes that compute and then sleep in proportion to the processor "
        "time they used. Medians: of iterations alone, and of some in a row together, taken in turn. Every gradient "
        "was compared with the oracle's, bit by bit. A chunk's milliseconds are processor time: what is dearer "
        "together is what the clients take from each other in caches and memory, or what else the machine does.",
        "",
        *_table(
            ("client", "s alone", "relative speed", "chunk ms alone", "chunk ms together"),
            [*_client_rows(race), _together_row(race)],
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
        *_table(_figure_columns(found), _figure_rows(found)),
        "",
        "## What sharing costs",
        "",
        *_table(("executor", "weights", "ms per iteration", "ms per chunk"), _overhead_rows(found)),
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


def _figure_columns(found: dict[str, Any]) -> list[str]:
    return [
        "cells",
        "weights",
        *(f"{client['speed']:g}" for client in found["race"]["clients"]),
        "together",
        "speed-up",
        "bound",
    ]


def _figure_rows(found: dict[str, Any]) -> list[list[str]]:
    return [
        [
            str(race["cells"]),
            f"{race['weights']:,}",
            *(f"{median(client['alone']):.3g}" for client in race["clients"]),
            f"{median(race['together']):.3g}",
            f"{race['speed_up']:.2f}",
            f"{race['bound']:.2f}",
        ]
        for race in found["figure"]
    ]


def _overhead_rows(found: dict[str, Any]) -> list[list[str]]:
    return [
        [
            overhead["executor"],
            f"{overhead['weights']:,}",
            overhead["note"] or _milliseconds(overhead["seconds"]),
            _milliseconds(None if overhead["seconds"] is None else overhead["seconds"] / overhead["chunks"]),
        ]
        for overhead in found["overheads"]
    ]


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1e3 * seconds:.3g}"


def _table(columns: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    return [f"| {' | '.join(cells)} |" for cells in (columns, rule, *body)]
