"""What cannot be shared out is refused, and a wrong kind of anything is one sentence."""

import math

import pytest
import torch

from distributed.examples import Rounding, network_objective, numbers, ragged
from longlag.distributed import MapReduceEngine, MapReduceObjective, RayExecutor
from longlag.errors import InputError
from longlag.gradients import Backpropagation
from longlag.nn import MeanSquaredError
from longlag.training import TrainingConfig, train


class Silent:
    """Does not say whether it averages."""


def test_what_cannot_be_shared_out_is_refused(serial):
    with pytest.raises(InputError, match="a Silent does not say whether it averages"):
        MapReduceObjective(Silent(), serial)
    with pytest.raises(InputError, match="executor is a str"):
        MapReduceObjective(Rounding(), "serial")
    with pytest.raises(InputError, match="chunk is 0"):
        MapReduceObjective(Rounding(), serial, chunk=0)
    with pytest.raises(InputError, match="lease is"):
        MapReduceObjective(Rounding(), serial, lease=0.0)
    with pytest.raises(InputError, match="the samples are a list"):
        MapReduceObjective(Rounding(), serial, chunk=1).value(torch.ones(3), [1, 2])
    with pytest.raises(InputError, match="there are no samples"):
        MapReduceObjective(Rounding(), serial, chunk=1).value(torch.ones(3), numbers(0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda e: MapReduceObjective(None, e), "a NoneType does not say whether it averages"),
        (lambda e: MapReduceObjective(Rounding(), 3), "executor is a int; expected a SerialExecutor"),
        (lambda e: MapReduceEngine(Backpropagation(), None), "executor is None; expected a SerialExecutor"),
        *[
            (lambda e, chunk=chunk: MapReduceObjective(Rounding(), e, chunk=chunk), f"chunk is {chunk!r}; expected a")
            for chunk in (True, 1.5, "3", math.nan)
        ],
        *[
            (lambda e, lease=lease: MapReduceObjective(Rounding(), e, lease=lease), f"lease is {lease!r}; expected a")
            for lease in (True, "10", None, math.inf, -1)
        ],
        (lambda e: MapReduceObjective(Rounding(), e).value(None, numbers(3)), "theta is None; expected a tensor"),
        (lambda e: MapReduceObjective(Rounding(), e).value([1.0], numbers(3)), "theta is a list; expected a tensor"),
        (lambda e: MapReduceObjective(Rounding(), e).value(torch.ones(3, 1), numbers(3)), r"theta is .* \(3, 1\)"),
        (lambda e: MapReduceObjective(Rounding(), e).value(torch.arange(3), numbers(3)), r"theta is .* torch.int64"),
        (
            lambda e: MapReduceObjective(Rounding(), e).value(torch.ones(3, device="meta"), numbers(3)),
            r"theta is .* on m",
        ),
        (lambda e: MapReduceObjective(Rounding(), e).value(torch.ones(3), None), "the samples are a NoneType"),
        (lambda e: MapReduceObjective(Rounding(), e).linearise(None, numbers(3)), "theta is None"),
        (lambda e: MapReduceObjective(Rounding(), e).curvature(None, numbers(3)), "theta is None"),
        (
            lambda e: MapReduceObjective(Rounding(), e).curvature_product(torch.ones(3), torch.ones(2), numbers(3)),
            "v holds 2 numbers; expected 3",
        ),
        (
            lambda e: MapReduceObjective(Rounding(), e).curvature_product(torch.ones(3), None, numbers(3)),
            "v is None",
        ),
        (
            lambda e: MapReduceObjective(Rounding(), e).curvature(torch.ones(3), numbers(3), structural="much"),
            "structural is 'much'",
        ),
        (lambda e: e.gather(1.5), "workers is 1.5; expected a whole number of at least 0"),
        (lambda e: RayExecutor(True), "workers is True; expected a whole number of at least 1"),
        (lambda e: RayExecutor(2**70), f"workers is {2**70}; expected a whole number of at most 10000"),
        (lambda e: RayExecutor(address=8), "address is a int; expected HOST:PORT, 'auto', or None"),
        (lambda e: RayExecutor(keep="all"), "keep is 'all'; expected a whole number of at least 0"),
    ],
)
def test_a_wrong_kind_is_one_sentence(serial, make, message):
    with pytest.raises(InputError, match=message) as caught:
        make(serial)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("executor", [3, "two", True])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_training_refuses_what_is_no_executor(executor, optimizer):
    network = network_objective().network
    with pytest.raises(InputError, match=f"executor is a {type(executor).__name__}; expected a SerialExecutor"):
        train(network, MeanSquaredError(), ragged(5), TrainingConfig(optimizer=optimizer), executor=executor)


def test_an_objective_that_workers_cannot_import_is_refused(serial):
    class Local(Rounding):
        pass

    with pytest.raises(InputError, match="the Local cannot be sent to workers"):
        MapReduceObjective(Local(), serial).value(torch.ones(3), numbers(3))
