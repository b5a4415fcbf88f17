"""The settings of a pretraining: everything that the bits of its weights depend on."""

from __future__ import annotations

import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import Any

import torch

from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.nn.seeding import seed_generators
from longlag.pretrained.network import ZeroShotNetwork
from longlag.synthetic.prior import Prior

__all__ = ["CELLS", "QUICK_UPDATES", "PretrainingSettings"]

QUICK_UPDATES = 200

CELLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "coupled": {"coupled_gates": True},
    "peephole": {"peepholes": True},
    "sharpened": {"sharpness": 2.0},
    "no forget gate": {"forget_gate": False},
    "no output gate": {"output_gate": False},
    "gate recurrence": {"gate_recurrence": True},
    "no recurrence": {"recurrence": False},
    "identity output": {"output_squash": "identity"},
}
"""Cells by name: the fields of CellSpec in which each differs from that of torch.nn.LSTM."""


@dataclass(frozen=True, kw_only=True)
class PretrainingSettings:
    """The settings of a pretraining. Equal settings give equal weights, bit for bit, on one kind of machine.

    Parameters
    ----------
    seed : int
        Seed of the initial weights and of every batch.
    updates : int
        Updates of the weights.
    hidden_size, num_layers, head_size : int
        Sizes of the network.
    cell : str
        A name of ``CELLS``.
    learn_sharpness : bool
        Whether the slope of the gates is learned.
    without : tuple of str
        Ingredients of the prior that are left out.
    groups : int
        Batches whose gradients make up one update. Each has series of one frequency and one length.
    values, answers : int
        About how many values the series of a batch have together, and how many values ahead are asked for.
    learning_rate, warm_up, last_share : float, int, float
        The highest rate, the updates in which it is reached, and the share of it that is left at the end of the cosine.
    weight_decay, first_moment, second_moment : float
        Of AdamW.
    clip_norm : float
        The largest norm of a gradient.
    averaging : float
        How much of the average weights is kept at each update; less in the first ones.

    Raises
    ------
    InputError
        For a number out of range, or a cell or an ingredient that is not known.
    """

    seed: int = 0
    updates: int = 14_000
    hidden_size: int = 128
    num_layers: int = 2
    head_size: int = 64
    cell: str = "plain"
    learn_sharpness: bool = False
    without: tuple[str, ...] = ()
    groups: int = 3
    values: int = 3_500
    answers: int = 9_000
    learning_rate: float = 2e-3
    warm_up: int = 200
    last_share: float = 0.02
    weight_decay: float = 1e-2
    first_moment: float = 0.9
    second_moment: float = 0.98
    clip_norm: float = 1.0
    averaging: float = 0.998

    def __post_init__(self) -> None:
        least = {"seed": 0, "values": 100, "answers": 100}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and value < least.get(field.name, 1):
                raise InputError(f"{field.name} is {value}; expected at least {least.get(field.name, 1)}")
        if self.cell not in CELLS:
            raise _unknown("cell", self.cell, tuple(CELLS))
        ingredients = tuple(field.name for field in dataclasses.fields(Prior))
        for name in self.without:
            if name not in ingredients:
                raise _unknown("without", name, ingredients)

    def document(self) -> dict[str, Any]:
        """Return all settings as plain JSON."""
        return {**dataclasses.asdict(self), "without": list(self.without)}

    def network_document(self) -> dict[str, Any]:
        """Return what the network is made of, as plain JSON; ``cell`` has the fields in which it is not torch's."""
        document: dict[str, Any] = {
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "head_size": self.head_size,
            "cell": dict(CELLS[self.cell]),
        }
        return document | ({"learn_sharpness": True} if self.learn_sharpness else {})

    def network(self) -> ZeroShotNetwork:
        """Return the network with its initial weights."""
        sizes = (self.hidden_size, self.num_layers, self.head_size)
        with torch.random.fork_rng(devices=[]):
            seed_generators(self.seed, torch.device("cpu"))
            return ZeroShotNetwork(*sizes, cell=CellSpec(**CELLS[self.cell]), learn_sharpness=self.learn_sharpness)

    def prior(self) -> Prior:
        """Return what series are drawn from."""
        return Prior().without(*self.without)

    def rate(self, update: int) -> float:
        """Return the learning rate of an update, from 0: it rises evenly, and falls as a cosine."""
        cosine = 0.5 * (1.0 + math.cos(math.pi * update / self.updates))
        return (
            self.learning_rate
            * min(1.0, (update + 1) / self.warm_up)
            * (self.last_share + (1.0 - self.last_share) * cosine)
        )

    def average_kept(self, update: int) -> float:
        """Return how much of the average weights an update keeps."""
        return min(self.averaging, (update + 1) / (update + 10))


def _unknown(option: str, name: str, known: tuple[str, ...]) -> InputError:
    near = difflib.get_close_matches(name, known, n=1)
    return InputError(
        f"{option} is {name!r}; expected one of {', '.join(known)}" + (f" (perhaps {near[0]})" * bool(near))
    )
