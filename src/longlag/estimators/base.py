"""What the scikit-learn estimators share: the network they build, how they train it, how they are saved."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from longlag.cell import CellSpec
from longlag.checks import whole_number
from longlag.data.sequences import SequenceBatch
from longlag.errors import CheckpointError, InputError
from longlag.estimators.parameters import check_parameters, python_value
from longlag.estimators.saving import (
    ARRAYS,
    WEIGHTS,
    check_keys,
    check_weights,
    packed_parameters,
    unpacked_parameters,
)
from longlag.io.directory import Saved, read_directory, write_directory
from longlag.io.fingerprint import fingerprint
from longlag.nn import LSTM, Loss, Network
from longlag.nn.network import Reads
from longlag.nn.seeding import seed_generators
from longlag.nn.sizes import LayerSizes
from longlag.optimizers import is_method, normalised
from longlag.training import Callback, ProgressBar, Run, Schedule, Stage, TrainingConfig, TrainingResult, train

__all__ = ["NetworkEstimator", "learning", "load"]

CLIP_NORM = 1.0
"""What ``clip_norm="auto"`` stands for."""

_SEEDS = 2**31 - 1  # as many as scikit-learn's estimators draw from

_BETWEEN_MEMBERS = 7919  # a prime, so that members of neighbouring seeds do not meet

_turn = threading.RLock()


class NetworkEstimator(BaseEstimator):  # type: ignore[misc]
    """Base of the estimators. Subclasses list all parameters in their own ``__init__``, as scikit-learn wants.

    Fitted attributes: ``networks_`` (of longlag.Network, in eval mode), ``network_`` (the first of them), ``history_``
    (a dict for each of its epochs), ``n_epochs_``, ``best_epoch_``, ``seed_`` (drawn from ``random_state``).
    """

    kinds: ClassVar[dict[str, type[NetworkEstimator]]] = {}
    reads: ClassVar[Reads] = "cells"  # what the output units of its network read

    def __init_subclass__(cls, *, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not abstract:
            NetworkEstimator.kinds[cls.__name__] = cls

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    def _forget(self) -> None:
        """Before a fit: should it fail, no mixture of two models stays behind."""
        if hasattr(self, "network_"):
            del self.network_, self.networks_

    # -- training ---------------------------------------------------------------------------------------------------

    def _draw_seed(self) -> None:
        self.seed_ = int(check_random_state(self.random_state).randint(_SEEDS))

    def _check_parameters(self) -> None:
        """Refuse parameters that cannot be used; InputError says which, and what was expected. Needs ``seed_``."""
        check_parameters(self.get_params(deep=False))
        self._config()

    def _sizes(self, input_size: int) -> LayerSizes:
        return LayerSizes(
            input_size=input_size,
            hidden_size=int(self.hidden_size),
            cell=CellSpec() if self.cell is None else self.cell,
            num_layers=int(self.num_layers),
            num_directions=2 if getattr(self, "bidirectional", False) else 1,
        )

    def _seed_of(self, member: int) -> int:
        """The seed of a member of an ensemble; that of the first is ``seed_``."""
        return int((self.seed_ + _BETWEEN_MEMBERS * member) % _SEEDS)

    def _network_kind(self) -> type[Network]:
        return Network

    def _build(self, input_size: int, output_size: int, member: int = 0) -> Network:
        """A fresh network of these sizes on the CPU; its initial weights follow from ``seed_`` and its number."""
        with learning(), torch.random.fork_rng(devices=[]):
            seed_generators(self._seed_of(member), torch.device("cpu"))
            sizes = self._sizes(input_size)
            lstm = LSTM(
                input_size,
                sizes.hidden_size,
                sizes.num_layers,
                dropout=python_value(self.dropout),
                bidirectional=sizes.num_directions == 2,
                device="cpu",
                cell=sizes.cell,
            )
            return self._network_kind()(lstm, output_size, reads=self.reads)

    def _usual_rate(self) -> float | Schedule:
        """What ``learning_rate=None`` stands for."""
        raise AssertionError("every estimator has its own")

    def _usual_epochs(self) -> int | None:
        """What ``max_epochs=None`` stands for; None where it stands for nothing."""
        return None

    def _config(self) -> TrainingConfig:
        usual = not is_method(self.optimizer)  # batch methods take no learning rate and clip nothing
        rate, clip = self.learning_rate, python_value(self.clip_norm)
        if isinstance(clip, str) and clip == "auto":
            clip = CLIP_NORM if usual else None
        return TrainingConfig(
            optimizer=self.optimizer,
            optimizer_options=self.optimizer_options,
            learning_rate=self._usual_rate() if rate is None and usual else python_value(rate),
            weight_decay=python_value(self.weight_decay),
            max_epochs=python_value(self._usual_epochs() if self.max_epochs is None else self.max_epochs),
            batch_size=python_value(self.batch_size),
            gradient=self.gradient,
            clip_norm=clip,
            patience=python_value(self.patience),
            seed=self.seed_,
        )

    def _config_for(self, data: SequenceBatch, member: int) -> TrainingConfig:
        """The configuration of one network's training on these data."""
        return dataclasses.replace(self._config(), seed=self._seed_of(member))

    def _train(
        self, networks: list[Network], loss: Loss, data: SequenceBatch, validation: SequenceBatch | None
    ) -> None:
        """Train each in place, with checkpoints in ``run_dir`` if there is one; sets the fitted attributes of the base.

        Their batches, like their initial weights, follow from a seed of their own.
        """
        results = [
            self._run(
                network,
                loss,
                data,
                validation,
                self._config_for(data, member),
                Stage("fit", member, len(networks)),
                self._folder(member),
            )
            for member, network in enumerate(networks)
        ]
        self._adopt(networks)
        self.history_ = results[0].history
        self.n_epochs_, self.best_epoch_ = results[0].epochs, results[0].best_epoch

    def _folder(self, member: int, stage: str = "") -> Path | None:
        """Where a network's training has its checkpoints; None where there are none."""
        if self.run_dir is None:
            return None
        return Path(self.run_dir) if not member and not stage else Path(self.run_dir) / f"network-{member}{stage}"

    def _run(
        self,
        network: Network,
        loss: Loss,
        data: SequenceBatch,
        validation: SequenceBatch | None,
        config: TrainingConfig,
        stage: Stage,
        directory: str | os.PathLike[str] | None,
    ) -> TrainingResult:
        """Train in place, with checkpoints in ``directory`` if there is one; the network is in eval mode afterwards.

        Of stages after the first, checkpoints count only if they began with the parameters that the network has now.
        """
        callbacks: list[Callback] = [*(self.callbacks or ()), *([ProgressBar()] if self.verbose else ())]
        start = None if stage.name == "fit" else fingerprint(*network.state_dict().values())
        with (
            learning(),
            contextlib.nullcontext() if directory is None else Run(directory, resume=self.resume, start=start) as run,
        ):
            try:
                return train(
                    network,
                    loss,
                    data,
                    config,
                    validation=validation,
                    run=run,
                    callbacks=callbacks,
                    stage=stage,
                    device=self.device,
                    executor=self.executor,
                )
            finally:
                network.to("cpu").eval()  # whose answers have the same bits wherever it learned

    # -- saving -----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator as a directory {manifest.json, *.safetensors}; nothing in it can execute.

        A ``random_state`` that is not a number is not saved; the seed drawn from it is.

        Raises
        ------
        NotFittedError, InputError
            If it is not fitted, or the path cannot be written; what was there stays.
        """
        check_is_fitted(self)
        document, arrays = self._pack()
        # However the optimiser was written, by its name or as LBFGSMethod(...), it is saved as plain data.
        name, options = normalised(self.optimizer, self.optimizer_options)
        optimizer = {"optimizer": name, "optimizer_options": options or None}
        write_directory(
            path,
            kind="model",
            files={
                **{name: network.state_dict() for name, network in self._members().items()},
                ARRAYS: {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()},
            },
            document={
                "estimator": type(self).__name__,
                "parameters": packed_parameters(self.get_params(deep=False) | optimizer),
                "training": {
                    "seed": self.seed_,
                    "n_epochs": self.n_epochs_,
                    "best_epoch": self.best_epoch_,
                    "sharpness": self.network_.lstm.cell.sharpness,
                },
                "fitted": document,
            },
        )

    def networks(self) -> list[Network]:
        """The fitted networks, whose answers are averaged."""
        check_is_fitted(self)
        return list(self.networks_)

    def _members(self) -> dict[str, Network]:
        """The networks by the names of their files."""
        return dict(zip(self._member_files(), self.networks_, strict=True))

    def _adopt(self, networks: list[Network]) -> None:
        """Take the networks that were read, in the order of ``_member_files``."""
        self.networks_, self.network_ = networks, networks[0]

    def _member_files(self) -> list[str]:
        """The names of the networks' files."""
        return [WEIGHTS, *(f"network_{member}.safetensors" for member in range(1, int(self.n_networks)))]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what ``save`` wrote. Nothing is unpickled or evaluated.

        Raises
        ------
        CheckpointError
            If the directory is missing, damaged, or holds another kind of estimator.
        """
        estimator = load(path)
        if not isinstance(estimator, cls):
            raise CheckpointError(f"{path} holds a {type(estimator).__name__}; expected a {cls.__name__}")
        return estimator

    def _pack(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Fitted attributes beside the network: plain data, and arrays."""
        raise AssertionError("every estimator packs its own")

    def _unpack(self, document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
        """Put back what ``_pack`` took, after checking all of it; the network's input and output size."""
        raise AssertionError("every estimator unpacks its own")

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        """The estimator that was saved. Nothing is built before types, ranges and shapes have been checked."""
        document, training = saved.document, saved.document["training"]
        check_keys("the document", document, {"estimator", "parameters", "training", "fitted"})
        check_keys("training", training, {"seed", "n_epochs", "best_epoch", "sharpness"})
        # Models of former releases that do not say how many networks they have, have one.
        parameters = {"n_networks": 1, **document["parameters"]}
        self = cls(**unpacked_parameters(parameters, set(cls._get_param_names())))
        self.seed_ = whole_number("seed", training["seed"], 0)
        if self.seed_ >= _SEEDS:
            raise InputError(f"seed is {self.seed_}; expected less than {_SEEDS}")
        self.n_epochs_ = whole_number("n_epochs", training["n_epochs"], 0)
        self.best_epoch_ = whole_number("best_epoch", training["best_epoch"], 0)
        if self.best_epoch_ > self.n_epochs_:
            raise InputError(f"best_epoch is {self.best_epoch_}; expected at most {self.n_epochs_}, the epochs trained")
        self._check_parameters()
        check_keys("the files", saved.files, {*self._member_files(), ARRAYS})
        arrays = {name: tensor.numpy() for name, tensor in saved.files[ARRAYS].items()}
        input_size, output_size = self._unpack(document["fitted"], arrays)
        networks = []
        for member, name in enumerate(self._member_files()):
            weights = saved.files[name]
            check_weights(weights, self._sizes(input_size), output_size, self.reads)
            network = self._build(input_size, output_size, member)
            network.lstm.cell = dataclasses.replace(network.lstm.cell, sharpness=training["sharpness"])
            network.to(weights["readout.weight"].dtype)  # whatever torch's default is today
            network.load_state_dict(weights)
            networks.append(network.eval())
        self._adopt(networks)
        self.history_ = []
        return self


def load(path: str | os.PathLike[str]) -> NetworkEstimator:
    """Read a saved estimator of whatever kind. See ``NetworkEstimator.load``."""
    saved = read_directory(path, kind="model")
    name = saved.document.get("estimator")
    if not isinstance(name, str) or name not in NetworkEstimator.kinds:
        raise CheckpointError(f"{path} holds {name!r}; expected one of {', '.join(sorted(NetworkEstimator.kinds))}")
    try:
        return NetworkEstimator.kinds[name]._restore(saved)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not hold a whole {name}: {error}") from error


@contextlib.contextmanager
def learning() -> Iterator[None]:
    """One fit at a time, since all threads share torch's generator; and with gradients, whatever the caller's mode."""
    with _turn, torch.inference_mode(False), torch.enable_grad():
        yield
