"""SequenceEstimator: what the classifier and the regressor share. Sequences in, one answer per sequence out."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longlag.cell import CellSpec
from longlag.checks import whole_number
from longlag.data.scale import Standardizer
from longlag.data.sequences import SequenceBatch
from longlag.data.split import random_split
from longlag.distributed import Executor
from longlag.errors import InputError
from longlag.estimators.base import NetworkEstimator
from longlag.estimators.long_tables import LongTableColumns, ReadsLongTables
from longlag.estimators.saving import check_keys, scaler_arrays, scaler_of
from longlag.estimators.sequences import Steps, read_sequences
from longlag.estimators.weighting import shares
from longlag.nn import Loss, Network, init
from longlag.ops.engine import CallOptions
from longlag.ops.paths import GradientPaths
from longlag.optimizers import is_method
from longlag.training import Callback, Schedule, TrainingConfig

__all__ = ["BidirectionalReadout", "SequenceEstimator", "check_fitted", "require_answers"]

_FITTED = ("features", "steps", "names", "input_size", "outputs", "validation")
"""What a saved classifier's and regressor's document says of the fit; one of a long table also has its columns."""

_MANY = 500  # with fewer sequences, a tenth of them says too little about when to stop
# Chosen by cross-validation on the training parts of BasicMotions and ArrowHead: a hundred updates, as fifty
# epochs of 32 sequences made of forty, were not enough.
_UPDATES = 500  # of a network, where nobody says how many epochs
_EPOCHS = (50, 100)  # at least and at most, then
_BATCHES = 5  # of an epoch at least, where nobody says how large they are
_BATCH = (4, 32)  # sequences at least and at most, then

_GRADIENTS = ("full", "truncated", "rtrl")


class BidirectionalReadout(Network):
    """A network on a bidirectional LSTM whose output units read where each direction has seen everything so far.

    At step t they see the forward cells of step t and the backward cells of step 0; so at the last step both have read
    the whole sequence. Takes padded tensors with time first.
    """

    def forward(  # type: ignore[override]  # a PackedSequence is refused
        self,
        input: Tensor | PackedSequence,
        hx: tuple[Tensor, ...] | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        paths: GradientPaths | None = None,
        options: CallOptions | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As ``Network.forward``."""
        if not isinstance(input, Tensor) or input.dim() != 3:
            raise InputError("this network reads whole sequences; expected a padded tensor (time, batch, features)")
        hidden, state = self.lstm(input, hx, lengths=lengths, paths=paths, options=options)
        forward, backward = hidden.chunk(2, dim=-1)
        seen = torch.cat([forward, backward[:1].expand_as(backward)], dim=-1)
        return self._read(seen, input, None if options is None else options.recording), state


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceEstimator(ReadsLongTables, NetworkEstimator, abstract=True):
    """Reads X, trains on (sequence, answer) pairs, and answers in portions. Subclasses say what an answer is.

    Fitted attributes, besides those of the base: ``n_features_in_``, ``n_steps_in_``, ``feature_names_in_`` (see
    ``read_sequences``), ``n_validation_`` (sequences set aside), ``input_scaler_`` (Standardizer or None).
    """

    n_networks: int = 5
    hidden_size: int = 32
    num_layers: int = 1
    cell: CellSpec | None = None
    dropout: float = 0.0
    bidirectional: bool = False
    optimizer: str = "adam"
    optimizer_options: Mapping[str, Any] | None = None
    learning_rate: float | Schedule | None = None
    weight_decay: float = 0.0
    max_epochs: int | None = None
    batch_size: int | None = None
    gradient: str = "full"
    clip_norm: float | Literal["auto"] | None = "auto"
    patience: int | None = 20
    validation_fraction: float | None = None
    standardize: bool = True
    warm_start: bool = False
    random_state: int | np.random.RandomState | None = None
    device: str | torch.device = "cpu"
    executor: Executor | None = None
    callbacks: Sequence[Callback] | None = None
    run_dir: str | os.PathLike[str] | None = None
    resume: bool = False
    verbose: bool = False

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # -- learning ---------------------------------------------------------------------------------------------------

    def _begin(self) -> bool:
        """Begin a fit: draw its seed, check the parameters, and forget the networks there are, unless it goes on.

        Should it fail, no mixture of two models stays behind: either the former one, or none.

        Returns
        -------
        Whether the fit goes on from the networks there are.

        Raises
        ------
        InputError
            If a parameter cannot be used, or is not as the networks are that the fit goes on from.
        """
        if not self.warm_start:
            self._forget()
        self._draw_seed()
        self._check_parameters()
        if not hasattr(self, "network_"):
            return False
        if self.run_dir is not None:
            raise InputError(
                f"run_dir is {str(self.run_dir)!r}, but a run begins from fresh networks, not from those of a former "
                "fit; expected None with warm_start"
            )
        lstm = self.network_.lstm
        wanted = self._sizes(lstm.input_size)
        before = dataclasses.replace(
            wanted,
            hidden_size=lstm.hidden_size,
            num_layers=lstm.num_layers,
            num_directions=2 if lstm.bidirectional else 1,
            cell=dataclasses.replace(lstm.cell, sharpness=wanted.cell.sharpness),
        )
        for name, now, then in (
            ("n_networks", int(self.n_networks), len(self.networks_)),
            *((name, getattr(wanted, name), getattr(before, name)) for name in ("hidden_size", "num_layers", "cell")),
            ("bidirectional", wanted.num_directions == 2, before.num_directions == 2),
            ("standardize", bool(self.standardize), self.input_scaler_ is not None),
        ):
            if now != then:
                raise InputError(
                    f"{name} is {now!r}, but the networks of the former fit have {then!r}; expected the same with "
                    "warm_start, or warm_start=False"
                )
        return True

    def _usual_rate(self) -> float | Schedule:
        return Schedule(0.01, 1e-4, "cosine")

    def _usual_epochs(self) -> int:
        return _EPOCHS[0]

    def _config_for(self, data: SequenceBatch, member: int) -> TrainingConfig:
        config = super()._config_for(data, member)
        if is_method(self.optimizer):
            return config
        size = config.batch_size or int(np.clip(len(data) // _BATCHES, *_BATCH))
        config = dataclasses.replace(config, batch_size=size)
        if self.max_epochs is None:
            epochs = _UPDATES // -(-len(data) // size)
            config = dataclasses.replace(config, max_epochs=int(np.clip(epochs, *_EPOCHS)))
        return config

    def _config(self) -> TrainingConfig:
        if self.gradient not in _GRADIENTS:
            raise InputError(f"gradient is {self.gradient!r}; expected one of {', '.join(_GRADIENTS)}")
        return super()._config()

    def _learn(
        self,
        sequences: Steps,
        answers: NDArray[Any],
        outputs: int,
        loss: Loss,
        *,
        kinds: NDArray[np.int64] | None = None,
        weights: NDArray[np.float64] | None = None,
        goes_on: bool,
    ) -> None:
        """Set some sequences aside (of every kind its share), scale, build the networks or take them up, train them.

        ``answers`` are class numbers (n,) or values (n, K). Sequences of weight 0 are left out.
        """
        counting = np.arange(len(sequences)) if weights is None else np.flatnonzero(weights)
        if goes_on:
            networks = [copy.deepcopy(network) for network in self.networks_]
        else:
            features, longest = sequences.values.shape[1], int(sequences.lengths[counting].max())
            networks = [self._fresh(member, features, longest, outputs) for member in range(int(self.n_networks))]
        dtype = networks[0].readout.weight.dtype
        fraction = self.validation_fraction
        if fraction is None:
            fraction = 0.1 if len(counting) >= _MANY else 0.0
        count = len(counting)
        held_out = min(max(round(count * fraction), int(fraction > 0)), count - 1)
        parts = random_split(count, held_out, seed=self.seed_, classes=None if kinds is None else kinds[counting])
        training, validation = (counting[part] for part in parts)
        if self.validation_fraction and count > 1 and not len(validation):
            raise InputError(
                f"validation_fraction is {self.validation_fraction}, but of {count} sequences none can be set aside: "
                "one of each class stays to learn from; expected more of them, or 0"
            )
        self.n_validation_ = len(validation)
        if not goes_on:
            self._fit_scalers(sequences, answers, training, weights)
        scaled, answers = sequences.scaled(self.input_scaler_, dtype), self._scaled_answers(answers, dtype)
        data, validating = (
            scaled.take(part).batch(answers[part], dtype, None if weights is None else shares(weights[part]))
            if len(part)
            else None
            for part in (training, validation)
        )
        assert data is not None
        self._train(networks, loss, data, validating)

    def _fresh(self, member: int, features: int, longest: int, outputs: int) -> Network:
        """A network that nothing has been learned by, for sequences of up to ``longest`` steps."""
        network = self._build(features, outputs, member)
        if network.lstm.cell.forget_gate:  # the answer may hang on any step, so some cells begin with long memories
            init.chrono_(network.lstm, longest)
        elif network.lstm.cell.input_gate:  # and cells that forget nothing let little in
            init.shut_(network.lstm)
        return network

    def _fit_scalers(
        self,
        sequences: Steps,
        answers: NDArray[Any],
        training: NDArray[np.int64],
        weights: NDArray[np.float64] | None,
    ) -> None:
        """Measure the features of the training sequences, step by step."""
        part = sequences.take(training)
        steps = None if weights is None else np.repeat(shares(weights[training]), part.lengths)
        self.input_scaler_ = Standardizer.fit(part.values, steps) if self.standardize else None

    def _scaled_answers(self, answers: NDArray[Any], dtype: torch.dtype) -> NDArray[Any]:
        """What the network is to answer."""
        return answers

    def _network_kind(self) -> type[Network]:
        return BidirectionalReadout if self.bidirectional else Network

    # -- answering --------------------------------------------------------------------------------------------------

    def _respond(self, X: Any) -> NDArray[np.float64]:
        """(networks, n, outputs): what each network answers at each sequence's last step.

        In float64 whatever the networks were trained in, so that an answer does not depend on its neighbours in X.
        """
        check_is_fitted(self)
        sequences = read_sequences(self, X, reset=False).scaled(self.input_scaler_, torch.float64)
        networks = [copy.deepcopy(network).double().eval() for network in self.networks_]
        answers = np.empty((len(networks), len(sequences), networks[0].output_size))
        with torch.no_grad():
            for chosen in sequences.passes():
                inputs, lengths = sequences.take(chosen).padded(torch.float64)
                ends = lengths - 1, torch.arange(len(chosen), device=inputs.device)
                for member, network in enumerate(networks):
                    answers[member, chosen] = network(inputs, lengths=lengths)[0][ends].numpy()
        return answers

    # -- saving -----------------------------------------------------------------------------------------------------

    def _pack(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        names = getattr(self, "feature_names_in_", None)
        document = {
            **({} if self.columns_ is None else {"columns": self.columns_.state()}),
            "features": self.n_features_in_,
            "steps": self.n_steps_in_,
            "names": None if names is None else names.tolist(),
            "input_size": self.network_.lstm.input_size,
            "outputs": self.network_.output_size,
            "validation": self.n_validation_,
        }
        return document, scaler_arrays("input", self.input_scaler_)

    def _unpack(self, document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
        columns = document.get("columns")  # models of former releases have none, as those of sequences
        self.columns_ = None if columns is None else LongTableColumns.from_state(columns)
        features = self.n_features_in_ = whole_number("features", document["features"], 1)
        steps = self.n_steps_in_ = document["steps"]
        if steps is not None and (type(steps) is not int or steps != features):
            raise InputError(f"steps is {steps!r}; expected None, or the {features} columns of a table")
        input_size = whole_number("input_size", document["input_size"], 1)
        if input_size != (features if steps is None else 1):
            raise InputError(f"input_size is {input_size} with {features} features; expected them to agree")
        names = document["names"]
        if names is not None:
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise InputError(f"names is {names!r}; expected None or a list of text")
            if steps is None or len(names) != features:
                raise InputError(f"there are {len(names)} names of columns; expected one for each column of a table")
            self.feature_names_in_ = np.array(names, dtype=object)
        self.n_validation_ = whole_number("validation", document["validation"], 0)
        self.input_scaler_ = scaler_of("input", arrays, input_size) if "input_mean" in arrays else None
        return input_size, whole_number("outputs", document["outputs"], 1)


def check_fitted(document: Mapping[str, Any], more: str) -> None:
    """Refuse what a fit says unless it has the names that each has, and ``more``."""
    columns = {"columns"} if isinstance(document, Mapping) and "columns" in document else set()
    check_keys("fitted", document, {*_FITTED, more, *columns})


def require_answers(estimator: Any, y: Any) -> None:
    """Refuse None in the words that scikit-learn's estimators use."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None."
        )
