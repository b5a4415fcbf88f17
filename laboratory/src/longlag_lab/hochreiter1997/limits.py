"""Section 6.1, what LSTM is not good at. The paper says so in words; sizes, rules and numbers are this package's."""

from __future__ import annotations

from longlag.cell import CellSpec
from longlag.online.topology import Topology
from longlag.tasks import Counting, DelayedXor, Parity, Task
from longlag_lab.competitors.guessing import Guessing
from longlag_lab.competitors.topology import RecurrentTopology
from longlag_lab.hochreiter1997.adam_reference import AdamReference
from longlag_lab.hochreiter1997.config import TrialConfig

__all__ = ["LIMITS", "guess_for", "parity_guessing"]


def _xor(gradient: str) -> AdamReference:
    """The same cell, first weights and Adam; what differs is where the error is cut."""
    return AdamReference(
        why=f"Adam on the {gradient} gradient",
        task=DelayedXor(T=30),
        stop="ST1",
        hidden_size=8,
        cell=CellSpec(biases="single"),
        gradient="truncated" if gradient == "truncated" else "full",
        classes=True,
        longest=30,
        batch=20,
    )


def _online(task: Task, *, symbols: bool) -> TrialConfig:
    """As task 3a's net, with an output bias."""
    return TrialConfig(
        task=task,
        topology=Topology(
            input_size=task.input_size,
            output_size=1,
            hidden_size=3,
            cell=CellSpec.hochreiter1997(),
            symbols=symbols,
        ),
        learning_rate=0.5,
        interval=0.1,
        input_gate_bias=(-1.0, -3.0, -5.0),
        output_gate_bias=(-2.0, -4.0, -6.0),
        stop="ST1",
    )


LIMITS: dict[str, TrialConfig | AdamReference] = {
    "xor-truncated": _xor("truncated"),
    "xor-full": _xor("full"),
    "parity-lstm": _online(Parity(T=500), symbols=False),
    "count-3-11": _online(Counting(short=3, long=11), symbols=True),
    "count-99-100": _online(Counting(short=99, long=100), symbols=True),
}


def guess_for(task: Task) -> Guessing:
    """Return the fully connected net of one hidden unit, weights in [-100, 100] (Schmidhuber & Hochreiter 1996)."""
    topology = RecurrentTopology(
        input_size=1, output_size=1, hidden_size=1, reads_inputs=True, feedback=True, bias=True, symbols=False
    )
    return Guessing(topology=topology, task=task)


def parity_guessing() -> Guessing:
    """Guessing for the parity of section 6.1."""
    return guess_for(Parity(T=500))
