"""train(device=...): everything of a training is where it should be, on a GPU in pretence; what is saved is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from longlag import Network
from longlag.distributed import SerialExecutor
from longlag.errors import CheckpointError, InputError
from longlag.gradients import ScheduledSampling
from longlag.nn import SquaredError
from longlag.training import BatchEnd, Callback, Run, TrainingConfig, TrainingInfo, train
from longlag.training.checkpoints import Checkpoints
from longlag.training.devices import set_generator_states, training_device
from training.loop_examples import made, same, samples, weights
from training.pretended_gpu import CUDA, OnGPU, pretended_gpu
from training.run_tasks import ADAM, Stop, Stopping, Task

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),  # torch's own
    pytest.mark.usefixtures("quick_disk"),
]

CONFIGS: dict[str, dict[str, Any]] = {
    "adam": {"clip_norm": 0.1, "batch_size": 2},
    "momentum": {"optimizer": "momentum", "clip_value": 0.1, "batch_size": 2, "bucket": False},
    "windows": {"gradient": "tbptt", "k1": 2, "k2": 2, "batch_size": 2},
    "truncated": {"gradient": "truncated"},
    "feeding": {"sampling_probability": 0.5, "batch_size": 2},
    "lbfgs": {"optimizer": "lbfgs"},
    "cg": {"optimizer": "cg"},
    # Hessian-free differentiates forward: what PyTorch makes for that inside does not take part in the pretence.
}


class Where(Callback):
    """Notes where the parameters are after each batch."""

    def __init__(self) -> None:
        self.seen: set[torch.device] = set()

    def on_batch_end(self, training: TrainingInfo, batch: BatchEnd) -> None:
        self.seen |= {parameter.device for parameter in training.network.parameters()}
        assert all(isinstance(parameter.data, OnGPU) for parameter in training.network.parameters())


def network() -> Network:
    return made(num_layers=2)


def trained(name: str, model: Network, *, run: Run | None = None, callbacks: Any = (), **where: Any) -> Any:
    config = TrainingConfig(max_epochs=2, seed=3, **CONFIGS[name])
    sampling = ScheduledSampling(1) if "sampling_probability" in CONFIGS[name] else None
    return train(
        model,
        SquaredError(),
        samples(),
        config,
        validation=samples(2),
        sampling=sampling,
        run=run,
        callbacks=list(callbacks),
        **where,
    )


@pytest.mark.costly
@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_batches_and_all_that_is_made_of_them_are_on_the_device(name: str, tmp_path: Path) -> None:
    """A tensor that was left on the CPU would fail there; beside that, the CPU's results are the oracle."""
    expected, found, where = network(), network(), Where()
    on_cpu = trained(name, expected)
    with pretended_gpu(), Run(tmp_path / "run", every_seconds=0) as run:
        result = trained(name, found, run=run, callbacks=[where], device="cuda")
        found.to("cpu")
    assert where.seen == {CUDA}
    assert (result.epochs, result.best_epoch) == (on_cpu.epochs, on_cpu.best_epoch)
    for one, other in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.costly
@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_a_run_on_a_device_goes_on_there_bit_for_bit_and_its_checkpoints_are_read_on_the_cpu(
    name: str, tmp_path: Path
) -> None:
    whole, resumed = network(), network()
    with pretended_gpu():
        trained(name, whole, device="cuda")
        with pytest.raises(Stop), Run(tmp_path / "run", every_seconds=0) as run:
            trained(name, network(), run=run, callbacks=[Stopping(1)], device="cuda")
        with Run(tmp_path / "run", resume=True) as run:
            trained(name, resumed, run=run, device="cuda:0")
        whole.to("cpu")
        resumed.to("cpu")
    assert same(weights(whole), weights(resumed))
    latest = Checkpoints(tmp_path / "run" / "checkpoints").latest()
    assert latest is not None
    files = latest[1].files
    assert set(files["random.safetensors"]) == {"torch", "cuda"}
    assert all(tensor.device.type == "cpu" for tensors in files.values() for tensor in tensors.values())
    with (
        pytest.raises(InputError, match="holds a run with device = 'cuda', not 'cpu'; expected the same settings"),
        Run(tmp_path / "run", resume=True) as run,
    ):
        trained(name, network(), run=run)


def test_the_network_stays_on_the_device_and_the_callers_data_where_it_was() -> None:
    model, data = network(), samples()
    with pretended_gpu():
        train(model, SquaredError(), data, TrainingConfig(max_epochs=1), device="cuda")
        assert {parameter.device for parameter in model.parameters()} == {CUDA}
        train(model, SquaredError(), data, TrainingConfig(max_epochs=1))  # and batches follow it
        model.to("cpu")
    assert data.inputs.device.type == "cpu"


@pytest.mark.costly
def test_dropout_and_the_callers_random_numbers_are_as_on_the_cpu() -> None:
    def dropping() -> Network:
        return made(num_layers=2, dropout=0.5)

    expected, found = dropping(), dropping()
    trained("adam", expected)
    torch.manual_seed(12)
    before = torch.get_rng_state()
    with pretended_gpu():
        trained("adam", found, device="cuda")
        found.to("cpu")
    assert torch.equal(torch.get_rng_state(), before)
    for one, other in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_a_run_that_does_not_say_where_it_was_was_on_the_cpu(tmp_path: Path) -> None:
    """As those of the release before."""
    with pytest.raises(Stop), Run(tmp_path / "run", every_seconds=0) as run:
        Task(ADAM).train(run, Stopping(3))
    with Checkpoints(tmp_path / "run" / "checkpoints") as checkpoints:
        latest = checkpoints.latest()
        assert latest is not None
        step, saved = latest
        del saved.document["identity"]["device"]
        checkpoints.save(step, saved.files, saved.document)
    with Run(tmp_path / "run", resume=True) as run:
        assert Task(ADAM).train(run).epochs == 2


# -- names of devices --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "meta", "", 7, None, torch.device("meta")])
def test_what_is_no_device_to_train_on_is_refused(device: Any) -> None:
    message = rf"^device is '{device}'; expected 'cpu', 'cuda', 'cuda:1' and so on, or 'auto'$"
    with pytest.raises(InputError, match=message):
        training_device(device)


def test_a_gpu_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    model = made()
    before = weights(model)
    message = r"^device is 'cuda', but this PyTorch is built without CUDA; expected 'cpu', or 'auto' for a GPU if there"
    with pytest.raises(InputError, match=message):
        train(model, SquaredError(), samples(), TrainingConfig(max_epochs=1), device="cuda")
    assert same(weights(model), before)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    with pytest.raises(InputError, match=r"^device is 'cuda:0', but PyTorch finds no GPU; expected "):
        training_device("cuda:0")
    assert training_device("auto") == torch.device("cpu")


def test_auto_is_the_gpu_where_there_is_one_and_a_number_beyond_is_refused() -> None:
    with pretended_gpu():
        assert training_device("auto") == training_device("cuda") == CUDA
        with pytest.raises(InputError, match=r"^device is 'cuda:1', but there are 1 GPUs; expected a number below 1$"):
            training_device("cuda:1")


def test_an_executor_whose_workers_are_elsewhere_is_refused() -> None:
    message = r"^the network is to be trained on cuda:0, but an executor's workers compute on the CPU; expected "
    with pretended_gpu(), SerialExecutor() as executor, pytest.raises(InputError, match=message):
        train(made(), SquaredError(), samples(), TrainingConfig(), executor=executor, device="cuda")


def test_random_numbers_of_another_kind_of_device_are_no_checkpoint_of_this_one() -> None:
    with pytest.raises(CheckpointError, match=r"^the checkpoint has random numbers of cuda, torch; expected those of"):
        set_generator_states(torch.device("cpu"), {"torch": torch.get_rng_state(), "cuda": torch.get_rng_state()})


def test_the_pretended_gpu_notices_a_tensor_that_was_left_behind() -> None:
    with pretended_gpu():
        there = torch.ones(3).to("cuda:0")
        with pytest.raises(AssertionError, match="meets tensors of both devices"):
            there + torch.ones(3)
        assert (there + torch.ones(())).device == CUDA
