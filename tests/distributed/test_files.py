"""Sequences in Parquet files: the numbers of those in memory, whoever reads them, and one sentence when that fails."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from distributed.simulated import Simulated
from longlag import LSTM, Network, SequenceBatch
from longlag.distributed import MapReduceObjective, ParquetSequences, SerialExecutor
from longlag.distributed.executor import KEEP
from longlag.errors import InputError
from longlag.gradients import NetworkObjective
from longlag.nn import CrossEntropy, MeanSquaredError


def written(folder, sizes, *, seed=0, answers="number", group=7):
    """Files of so many sequences each, and the same sequences in memory."""
    rng = np.random.default_rng(seed)
    arrays, labels, paths = [], [], []
    for number, size in enumerate(sizes):
        lengths = rng.integers(1, 6, size)
        own = [rng.standard_normal((length, 2)) for length in lengths]
        found = rng.standard_normal(size) if answers == "number" else rng.choice(["no", "yes"], size)
        table = pa.table(
            {
                "id": np.repeat([f"{number}-{place}" for place in range(size)], lengths),
                "a": np.concatenate(own)[:, 0],
                "unused": np.arange(lengths.sum()),
                "b": np.concatenate(own)[:, 1],
                "y": np.repeat(found, lengths),
            }
        )
        path = folder / f"part-{number}.parquet"
        pq.write_table(table, path, row_group_size=group)
        paths.append(path)
        arrays += own
        labels += found.tolist()
    return paths, arrays, labels


def samples_in(paths, **options):
    return ParquetSequences(paths, sequence="id", features=["a", "b"], target="y", dtype=torch.float64, **options)


def objective(outputs=1, loss=None):
    torch.manual_seed(0)
    return NetworkObjective(Network(LSTM(2, 3), outputs).double(), loss or MeanSquaredError())


@pytest.mark.processes
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_files_and_memory_give_the_same_bits(tmp_path, two, chunk):
    paths, arrays, labels = written(tmp_path, [5, 1, 9])
    in_memory = SequenceBatch.last_step(arrays, np.array(labels)[:, None])
    in_files = samples_in(paths)
    assert (len(in_files), in_files.steps) == (15, int(in_memory.lengths.sum()))
    network = objective()
    with SerialExecutor() as serial:
        expected = MapReduceObjective(network, serial, chunk=chunk).value_and_gradient(network.theta, in_memory)
        for executor in (serial, two):
            found = MapReduceObjective(network, executor, chunk=chunk).value_and_gradient(network.theta, in_files)
            assert found[0] == expected[0]
            assert torch.equal(found[1], expected[1])


def test_classes_are_numbered_in_the_order_given(tmp_path):
    paths, arrays, labels = written(tmp_path, [6, 6], answers="class")
    numbers = np.array([["yes", "no"].index(label) for label in labels])
    network = objective(2, CrossEntropy())
    expected = network.value(network.theta, SequenceBatch.last_step(arrays, numbers))
    with SerialExecutor() as serial:
        found = MapReduceObjective(network, serial, chunk=5).value(
            network.theta, samples_in(paths, classes=["yes", "no"])
        )
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_file_that_vanished_is_one_clear_error_and_the_next_request_is_answered(tmp_path):
    paths, _, _ = written(tmp_path, [5, 5])
    network, samples = objective(), samples_in(paths)
    with SerialExecutor() as executor:  # whose worker keeps nothing
        shared_out = MapReduceObjective(network, executor, chunk=3)
        value = shared_out.value(network.theta, samples)
        away = paths[1].rename(tmp_path / "elsewhere")
        with pytest.raises(InputError, match=r"worker 1 .*: chunk 1: there is no file '.*part-1.parquet'"):
            shared_out.value(network.theta, samples)
        away.rename(paths[1])
        assert shared_out.value(network.theta, samples) == value


def test_what_a_worker_has_read_it_keeps(tmp_path):
    paths, _, _ = written(tmp_path, [5])
    network, samples = objective(), samples_in(paths)
    with Simulated(0, 1) as executor:
        executor.crew["worker 1"].keep = KEEP
        shared_out = MapReduceObjective(network, executor, chunk=2)
        value = shared_out.value(network.theta, samples)
        paths[0].unlink()
        assert shared_out.value(network.theta, samples) == value


def test_a_file_that_has_changed_is_noticed(tmp_path):
    paths, _, _ = written(tmp_path, [5])
    samples, network = samples_in(paths), objective()
    written(tmp_path, [5], seed=1)
    with SerialExecutor() as serial, pytest.raises(InputError, match=r"when they were counted|rows; expected rows"):
        MapReduceObjective(network, serial, chunk=2).value(network.theta, samples)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "b"}, r"part-0.parquet, row 2, column 'b': the label is"),
        ({"target": "id"}, "the target 'id' is text"),
        ({"features": ["a", "c"]}, "has no column 'c'; it has id, a, unused, b, y"),
        ({"classes": ["no"]}, "the target 'y' is '"),
    ],
)
def test_unusable_columns_are_named(tmp_path, options, message):
    numbers, path = [1.0, 2.0, 3.0], tmp_path / "part-0.parquet"
    rows = {"id": ["1", "1", "2"], "a": numbers, "unused": [0, 0, 0], "b": numbers, "y": [1.0, 1.0, 2.0]}
    pq.write_table(pa.table(rows), path)
    chosen = {"sequence": "id", "features": ["a", "b"], "target": "y", **options}
    network = objective()
    with SerialExecutor() as serial, pytest.raises(InputError, match=message):
        MapReduceObjective(network, serial).value(network.theta, ParquetSequences([path], **chosen))


def test_a_sequence_in_two_files_is_refused(tmp_path):
    paths, _, _ = written(tmp_path, [1])
    with pytest.raises(InputError, match=r"part-0.parquet begins with sequence '0-0'"):
        samples_in([paths[0], paths[0]])


@pytest.mark.parametrize("paths", [[], "one.parquet"])
def test_no_list_of_files_is_refused(paths):
    with pytest.raises(InputError, match="paths is"):
        ParquetSequences(paths, sequence="id", features=["a"], target="y")
