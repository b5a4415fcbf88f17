"""What the scikit-learn estimators share: the network they build, how they train it, how they are saved."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from longlag.cell import CellSpec
from longlag.data.sequences import SequenceBatch
from longlag.errors import CheckpointError
from longlag.io.directory import Saved, read_directory, write_directory
from longlag.nn import LSTM, Loss, Network
from longlag.nn.network import Reads
from longlag.training import ProgressBar, Run, Schedule, TrainingConfig, TrainingResult, train
from longlag.training.config import is_method

__all__ = ["NetworkEstimator", "learning", "load"]

PLAIN = {"CellSpec": CellSpec, "Schedule": Schedule}
"""The only types, besides JSON's own, that a saved estimator's parameters may have."""

CLIP_NORM = 1.0
"""What ``clip_norm="auto"`` stands for."""

_turn = threading.RLock()


class NetworkEstimator(BaseEstimator):  # type: ignore[misc]
    """Base of the estimators. Subclasses list all parameters in their own ``__init__``, as scikit-learn wants.

    Fitted attributes: ``network_`` (a longlag.Network in eval mode), ``history_`` (a dict per epoch), ``n_epochs_``,
    ``best_epoch_``, ``seed_`` (drawn from ``random_state``).
    """

    kinds: ClassVar[dict[str, type[NetworkEstimator]]] = {}

    def __init_subclass__(cls, *, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not abstract:
            NetworkEstimator.kinds[cls.__name__] = cls

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    # -- training ---------------------------------------------------------------------------------------------------

    def _draw_seed(self) -> None:
        self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))

    def _network(
        self, input_size: int, output_size: int, reads: Reads = "cells", kind: type[Network] = Network
    ) -> Network:
        """A fresh network of the given sizes; its initial weights follow from ``seed_``."""
        with learning(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed_)
            lstm = LSTM(
                input_size,
                _python(self.hidden_size),
                _python(self.num_layers),
                dropout=_python(self.dropout),
                bidirectional=getattr(self, "bidirectional", False),
                cell=self.cell,
            )
            return kind(lstm, output_size, reads=reads)

    def _usual_rate(self) -> float | Schedule:
        """What ``learning_rate=None`` stands for."""
        raise AssertionError("every estimator has its own")

    def _config(self) -> TrainingConfig:
        usual = not is_method(self.optimizer)  # batch methods take no learning rate and clip nothing
        rate, clip = self.learning_rate, self.clip_norm
        return TrainingConfig(
            optimizer=self.optimizer,
            learning_rate=self._usual_rate() if rate is None and usual else _python(rate),
            weight_decay=_python(self.weight_decay),
            max_epochs=_python(self.max_epochs),
            batch_size=_python(self.batch_size),
            gradient=self.gradient,
            clip_norm=(CLIP_NORM if usual else None) if isinstance(clip, str) and clip == "auto" else _python(clip),
            patience=_python(self.patience),
            seed=self.seed_,
        )

    def _train(
        self, network: Network, loss: Loss, data: SequenceBatch, validation: SequenceBatch | None
    ) -> TrainingResult:
        """Train in place, with checkpoints in ``run_dir`` if there is one; sets the fitted attributes of the base."""
        config = self._config()
        with learning(), contextlib.ExitStack() as stack:
            run = None if self.run_dir is None else stack.enter_context(Run(self.run_dir, resume=self.resume))
            bar = stack.enter_context(ProgressBar(config.max_epochs)) if self.verbose else None
            result = train(
                network, loss, data, config, validation=validation, run=run, observer=bar, executor=self.executor
            )
        network.eval()
        self.network_ = network
        self.history_ = result.history
        self.n_epochs_, self.best_epoch_ = result.epochs, result.best_epoch
        return result

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
        parameters = {name: _plain(value) for name, value in self.get_params(deep=False).items()}
        for name in ("run_dir", "resume", "executor"):  # where it was trained says nothing about what it is
            parameters.pop(name, None)
        document, arrays = self._pack()
        write_directory(
            path,
            kind="model",
            files={
                "network.safetensors": self.network_.state_dict(),
                "arrays.safetensors": {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()},
            },
            document={
                "estimator": type(self).__name__,
                "parameters": parameters,
                "training": {
                    "seed": self.seed_,
                    "n_epochs": self.n_epochs_,
                    "best_epoch": self.best_epoch_,
                    "sharpness": self.network_.lstm.cell.sharpness,
                },
                "fitted": document,
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what ``save`` wrote. Nothing is unpickled or evaluated.

        Raises
        ------
        CheckpointError
            If the directory is missing, damaged, or holds another kind of estimator.
        """
        found = load(path)
        if not isinstance(found, cls):
            raise CheckpointError(f"{path} holds a {type(found).__name__}; expected a {cls.__name__}")
        return found

    def _pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Fitted attributes beside the network: plain data, and arrays."""
        raise AssertionError("every estimator packs its own")

    def _unpack(self, document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Network:
        """Put back what ``_pack`` took and build the network the weights belong to."""
        raise AssertionError("every estimator unpacks its own")

    @classmethod
    def _restore(cls, path: str | os.PathLike[str], saved: Saved) -> Self:
        try:
            document = saved.document
            names = set(cls._get_param_names())
            given = {name: _object(value) for name, value in document["parameters"].items()}
            if not given.keys() <= names:
                raise CheckpointError(f"{path} has unknown parameters {sorted(given.keys() - names)}")
            self = cls(**given)
            self.seed_ = document["training"]["seed"]
            self.n_epochs_, self.best_epoch_ = document["training"]["n_epochs"], document["training"]["best_epoch"]
            arrays = {name: tensor.numpy() for name, tensor in saved.files["arrays.safetensors"].items()}
            network = self._unpack(document["fitted"], arrays)
            network.lstm.cell = dataclasses.replace(network.lstm.cell, sharpness=document["training"]["sharpness"])
            weights = saved.files["network.safetensors"]
            network.to(weights["readout.weight"].dtype)  # whatever torch's default is today
            network.load_state_dict(weights)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{path} does not hold a whole {cls.__name__}: {error}") from error
        self.network_ = network.eval()
        self.history_ = []
        return self


def load(path: str | os.PathLike[str]) -> NetworkEstimator:
    """Read a saved estimator of whatever kind. See ``NetworkEstimator.load``."""
    saved = read_directory(path, kind="model")
    kind = saved.document.get("estimator")
    if not isinstance(kind, str) or kind not in NetworkEstimator.kinds:
        raise CheckpointError(f"{path} holds {kind!r}; expected one of {', '.join(sorted(NetworkEstimator.kinds))}")
    return NetworkEstimator.kinds[kind]._restore(path, saved)


@contextlib.contextmanager
def learning() -> Iterator[None]:
    """One fit at a time, since all threads share torch's generator; and with gradients, whatever the caller's mode."""
    with _turn, torch.inference_mode(False), torch.enable_grad():
        yield


def _python(value: Any) -> Any:
    """NumPy's numbers, which grids of parameters are made of, as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _plain(value: Any) -> Any:
    """A parameter as JSON data; dataclasses from the closed list carry their name."""
    value = _python(value)
    for name, kind in PLAIN.items():
        if isinstance(value, kind):
            return {"type": name, **dataclasses.asdict(value)}  # type: ignore[call-overload]
    if isinstance(value, (np.random.RandomState, np.random.Generator)):
        return None
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _object(value: Any) -> Any:
    """The inverse of ``_plain``."""
    if isinstance(value, dict):
        kind = PLAIN.get(value.get("type", ""))
        if kind is None:
            raise CheckpointError(f"a parameter has type {value.get('type')!r}; expected one of {', '.join(PLAIN)}")
        return kind(**{name: item for name, item in value.items() if name != "type"})
    if isinstance(value, list):
        return [_object(item) for item in value]
    return value
