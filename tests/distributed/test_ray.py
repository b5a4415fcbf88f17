"""A real Ray cluster of three nodes on this machine, whose workers and nodes are killed."""

import contextlib
import functools
import os
import select
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import pytest
import torch

from distributed.examples import Rounding, Waits, network_objective, numbers, ragged
from distributed.hardship import assert_bits_endure, learned, same, waiting_workers_released
from longlag.distributed import MapReduceObjective, RayExecutor, SerialExecutor, master
from longlag.distributed import ray as ray_executor
from longlag.errors import ClusterError, InputError
from longlag.optim import BoundObjective, HessianFreeMethod, LinearCG, minimise

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Where the workers find distributed.examples.
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
ray = pytest.importorskip("ray")

# Ray leaves sockets and processes for the garbage collector, and announces changes to come.
pytestmark = [
    pytest.mark.ray,
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    """Three nodes of two processors each; the driver is at the first."""
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Without what watches logs, scales and serves pages: each is one more process for a node.
        bare = {"num_cpus": 2, "include_log_monitor": False}
        found = Cluster(initialize_head=True, head_node_args={**bare, "include_dashboard": False, "no_monitor": True})
        for _ in range(2):
            found.add_node(**bare)
        ray.init(address=found.address, log_to_driver=False, logging_level="ERROR")
        yield found
        ray.shutdown()
        found.shutdown()


@pytest.fixture(scope="module")
def expected():
    with SerialExecutor() as executor:
        return learned(executor)


@pytest.fixture(scope="module")
def executor(cluster):
    with RayExecutor(5) as found:
        found.gather(5)
        yield found


def test_hessian_free_learns_the_serial_bits(executor):
    objective, samples, found = network_objective(), ragged(60), []
    method = HessianFreeMethod(solver=LinearCG(max_iterations=20))
    for each in (SerialExecutor(), executor):
        function = BoundObjective(MapReduceObjective(objective, each, chunk=9), samples)
        found.append(minimise(method, function, objective.theta, max_iterations=2))
    assert found[0].value == found[1].value
    assert torch.equal(found[0].theta, found[1].theta)


def test_actors_killed_and_stopped_at_random_change_no_bit(executor):
    for seed in range(3):
        executor.gather(2)
        assert_bits_endure(executor, seed, blows=2, lease=0.2)


@pytest.mark.slow
def test_twenty_schedules_and_the_loss_of_a_node_change_no_bit(cluster, executor):
    for seed in range(3, 23):
        lost = cluster.list_all_nodes()[-1] if seed == 12 else None
        executor.gather(2)
        between = None if lost is None else functools.partial(cluster.remove_node, lost, False)
        assert_bits_endure(executor, seed, blows=2, lease=0.2, between=between)
        if lost is not None:
            cluster.add_node(num_cpus=2)


@pytest.mark.slow
def test_a_node_that_joins_brings_a_worker(cluster, executor, expected):
    executor.size = 7  # one more than there are processors
    executor.gather(6)
    node = cluster.add_node(num_cpus=1)
    assert same(learned(executor), expected)
    executor.gather(7)
    assert same(learned(executor), expected)
    executor.size = 5
    cluster.remove_node(node)


def test_five_two_and_one_actors_learn_the_serial_bits(executor, expected):
    executor.size = 5  # another test, or this one before it, may have wanted fewer
    executor.gather(5)
    assert same(learned(executor), expected)
    for workers in (2, 1):
        executor.size = workers  # no others are to come
        for worker in list(executor.workers)[workers:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(executor.worker_infos[worker].process, signal.SIGKILL)
        while len(executor.workers) > workers:  # until the last death is noticed
            assert same(learned(executor), expected)
        assert same(learned(executor), expected)


def test_mistakes_in_an_actor_are_one_sentence_here(executor):
    objective = network_objective()
    with pytest.raises(ClusterError, match=r"worker \d+ \(process \d+ on "):
        MapReduceObjective(objective, executor).value(objective.theta[:-1], ragged(3))


def stopped(executor):
    """The processes of an executor's actors, which have been stopped."""
    processes = [executor.worker_infos[worker].process for worker in executor.workers]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    for process in processes:
        while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.01)
    return processes


def test_with_all_actors_stopped_there_is_one_clear_error_and_when_they_go_on_so_does_everything(executor, monkeypatch):
    executor.gather(1)
    samples, theta = numbers(6), torch.ones(3)
    expected = MapReduceObjective(Rounding(), executor, chunk=1).value(theta, samples)
    with monkeypatch.context() as patch:
        patch.setattr(master, "PONG_SECONDS", 0.2)  # those that are stopped need no time
        patch.setattr(ray_executor, "JOIN_SECONDS", 0.2)
        processes = stopped(executor)
        with pytest.raises(ClusterError, match=r"no worker gives a sign of life \(worker .*process \d+ on .*stopped"):
            MapReduceObjective(Rounding(), executor, chunk=1, lease=0.1).value(theta, samples)
    for process in processes:
        os.kill(process, signal.SIGCONT)
    assert MapReduceObjective(Rounding(), executor, chunk=1).value(theta, samples) == expected


def test_actors_that_compute_give_a_sign_of_life_and_are_waited_for(executor, tmp_path):
    executor.gather(1)
    with waiting_workers_released(tmp_path):
        value = MapReduceObjective(Waits(tmp_path), executor, lease=0.05).value(torch.ones(3), numbers(6))
    assert value == Rounding().value(torch.ones(3), numbers(6))
    assert (tmp_path / "go").exists()


def test_an_actor_that_is_stopped_ends_with_its_executor(cluster, executor):
    with RayExecutor(1) as other:
        other.gather(1)
        (process,) = stopped(other)
        watch = os.pidfd_open(process)
    ended, _, _ = select.select([watch], [], [], 120.0)
    os.close(watch)
    assert ended


def test_with_every_actor_killed_for_good_there_is_one_clear_error(executor):
    executor.size = 0  # nobody is to come
    for worker in executor.workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(executor.worker_infos[worker].process, signal.SIGKILL)
    with pytest.raises(ClusterError, match=r"(no worker is left|cost 3 workers their lives).*process \d+ on "):
        MapReduceObjective(Rounding(), executor, chunk=1).value(torch.ones(3), numbers(4))


def test_a_cluster_without_a_token_is_not_started(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(InputError, match="RAY_AUTH_MODE is 'disabled', and without a token anybody"):
        RayExecutor(1)


def test_without_ray_there_is_one_sentence_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'pip install "longlag\[ray\]"'):
        RayExecutor(1)


@pytest.fixture(scope="module")
def alone():
    """What a program prints, a line each, that knows of no cluster: it joins none, and then has one of its own."""
    program = """
        import torch
        from distributed.examples import Rounding, numbers
        from longlag.distributed import MapReduceObjective, RayExecutor, SerialExecutor
        from longlag.errors import InputError
        try:
            RayExecutor(address="127.0.0.1:1")
        except InputError as error:
            print(error)
        samples = numbers(9)
        with SerialExecutor() as one, RayExecutor(1) as other:
            import os, ray
            theta = torch.ones(3)
            left, right = (MapReduceObjective(Rounding(), each, chunk=2).value(theta, samples) for each in (one, other))
            print(left == right, ray.get_runtime_context().gcs_address.split(":")[0], os.environ["RAY_AUTH_MODE"])
            print(ray._private.worker._global_node.webui_url or "no dashboard")
        print(ray.is_initialized())
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=variables).stdout.splitlines()


def test_without_a_cluster_at_the_address_there_is_one_sentence(alone):
    assert "no Ray cluster could be joined at '127.0.0.1:1'" in alone[0]


def test_a_cluster_of_its_own_listens_to_this_machine_alone_and_ends_with_the_executor(alone):
    assert alone[1:] == ["True 127.0.0.1 token", "no dashboard", "False"]
