"""The training loop and the estimators with executors: every optimiser, the bits of one worker, refusals."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from distributed.examples import ragged
from longlag import LSTM, Network
from longlag.distributed import ProcessExecutor, SerialExecutor
from longlag.errors import ClusterError, InputError
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor
from longlag.nn import GaussianNLL, MeanSquaredError
from longlag.optimizers import names
from longlag.training import Callback, Schedule, TrainingConfig, train

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

METHODS = names()


def trained(executor, config, *, loss=None, outputs=2, network=None):
    torch.manual_seed(3)
    network = network or Network(LSTM(3, 3), outputs).double()
    result = train(
        network, loss or MeanSquaredError(), ragged(40), config, validation=ragged(20, seed=1), executor=executor
    )
    return result, torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


@pytest.mark.processes
@pytest.mark.parametrize("optimizer", METHODS)
def test_every_optimiser_trains_the_bits_of_one_worker(two, serial, optimizer):
    config = TrainingConfig(optimizer=optimizer, max_epochs=2, batch_size=20)
    (one, weights), (other, same) = trained(serial, config), trained(two, config)
    assert torch.equal(weights, same)
    losses = [[(entry["loss"], entry["validation"]) for entry in result.history] for result in (one, other)]
    assert losses[0] == losses[1]
    here, plain = trained(None, config)  # the last bits differ, which a method of many iterations magnifies
    assert here.history[0]["loss"] == pytest.approx(one.history[0]["loss"], rel=1e-3)
    torch.testing.assert_close(weights, plain, rtol=0.0, atol=1e-3 if config.is_method else 1e-12)


@pytest.mark.processes
def test_a_likelihood_whose_curvature_is_its_fisher_information_is_shared_out_too(two, serial):
    config = TrainingConfig(optimizer="hessian_free", max_epochs=2)
    found = [trained(each, config, loss=GaussianNLL(), outputs=4)[1] for each in (serial, two)]
    assert torch.equal(*found)


@pytest.mark.processes
def test_scheduled_sharpness_reaches_the_workers(two, serial):
    config = TrainingConfig(optimizer="adam", max_epochs=3, sharpness=Schedule(1.0, 3.0, "linear"))
    found = [trained(each, config)[1] for each in (serial, two)]
    assert torch.equal(*found)
    assert not torch.equal(found[0], trained(serial, TrainingConfig(optimizer="adam", max_epochs=3))[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gradient": "tbptt", "k1": 2, "k2": 2}, "gradient='tbptt'"),
        ({"sampling_probability": 0.5}, "sampling_probability"),
    ],
)
def test_what_goes_from_step_to_step_of_a_batch_is_refused(serial, options, message):
    from longlag.gradients import ScheduledSampling

    torch.manual_seed(0)
    sampling = ScheduledSampling(2) if "sampling_probability" in options else None
    with pytest.raises(InputError, match=message):
        train(
            Network(LSTM(3, 3), 2).double(),
            MeanSquaredError(),
            ragged(10),
            TrainingConfig(**options),
            sampling=sampling,
            executor=serial,
        )


@pytest.mark.processes
def test_when_no_worker_is_left_the_parameters_are_as_before_and_the_checkpoint_goes_on(tmp_path):
    import os
    import signal

    from longlag.training import Run

    config = TrainingConfig(optimizer="lbfgs", max_epochs=6)
    expected = trained(SerialExecutor(), config)[1]
    torch.manual_seed(3)
    network = Network(LSTM(3, 3), 2).double()

    class Killer(Callback):
        """Ends all workers after the third epoch."""

        def on_epoch_end(self, training, entry):
            self.weights = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
            if entry["epoch"] == 3:
                for process in executor.processes.values():
                    os.kill(process, signal.SIGKILL)

    killer = Killer()
    with ProcessExecutor(1, replace=False) as executor, Run(tmp_path / "run", every_seconds=0) as run:
        with pytest.raises(ClusterError, match="no worker is left"):
            train(
                network,
                MeanSquaredError(),
                ragged(40),
                config,
                validation=ragged(20, seed=1),
                run=run,
                callbacks=[killer],
                executor=executor,
            )
        assert torch.equal(
            torch.cat([parameter.detach().flatten() for parameter in network.parameters()]), killer.weights
        )
    torch.manual_seed(3)
    again = Network(LSTM(3, 3), 2).double()
    with Run(tmp_path / "run", resume=True) as run, SerialExecutor() as executor:
        train(
            again,
            MeanSquaredError(),
            ragged(40),
            config,
            validation=ragged(20, seed=1),
            run=run,
            executor=executor,
        )
    assert torch.equal(torch.cat([parameter.detach().flatten() for parameter in again.parameters()]), expected)


# -- estimators --------------------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_estimators_answer_the_same_whoever_trained_them(two, serial):
    rng = np.random.default_rng(0)
    sequences = [rng.standard_normal((length, 2)) for length in rng.integers(3, 9, 40)]
    numbers, series = np.array([sequence[0, 0] for sequence in sequences]), np.sin(np.arange(80) / 3)
    options = {"hidden_size": 3, "max_epochs": 2, "random_state": 0}
    for make, data, predict in (
        (LSTMRegressor(optimizer="hessian_free", **options), (sequences, numbers), lambda m: m.predict(sequences)),
        (LSTMClassifier(**options), (sequences, numbers > 0), lambda m: m.predict_proba(sequences)),
        (LSTMForecaster(lags=4, n_networks=2, **options), (series,), lambda m: m.predict(5)),
    ):
        found = [predict(clone(make).set_params(executor=each).fit(*data)) for each in (serial, two)]
        np.testing.assert_array_equal(*found)


def test_an_estimator_with_an_executor_is_copied_and_saved_without_its_workers(tmp_path, serial):
    model = LSTMRegressor(executor=serial, max_epochs=1, random_state=0).fit([[[1.0]], [[2.0]]], [1.0, 2.0])
    assert clone(model).executor is serial
    assert copy.deepcopy(model).executor is serial
    model.save(tmp_path / "model")
    assert LSTMRegressor.load(tmp_path / "model").executor is None
    with pytest.raises(InputError, match="cannot be pickled"):
        pickle.dumps(model)
