"""What a worker keeps of what it has read, and for how long."""

import gc
import weakref
from dataclasses import dataclass

import pytest
import torch

from distributed.examples import Rounding, numbers
from distributed.simulated import Simulated
from longlag.distributed import MapReduceObjective


class Source:
    """Samples elsewhere, ``size`` chunks of two; ``read``: weak references to each chunk that somebody has read."""

    def __init__(self, chunks):
        self.count, self.read = chunks, []

    @property
    def steps(self):
        return 2 * self.count

    def __len__(self):
        return 2 * self.count

    def chunks(self, size):
        assert size == 2
        return [Piece(self.read, number) for number in range(self.count)]


@dataclass
class Piece:
    read_so_far: list
    number: int

    def read(self, memory):
        samples = numbers(2, seed=self.number)
        self.read_so_far.append(weakref.ref(samples))
        return samples


def one_worker(keep):
    executor = Simulated(0, 1)
    executor.crew["worker 1"].keep = keep
    return executor


def alive(references):
    gc.collect()
    return sum(reference() is not None for reference in references)


def test_chunks_are_read_once_and_kept():
    source = Source(5)
    with one_worker(keep=1 << 20) as executor:
        objective = MapReduceObjective(Rounding(), executor, chunk=2)
        values = [objective.value(torch.ones(3), source) for _ in range(3)]
        assert len(set(values)) == 1
        assert len(source.read) == alive(source.read) == 5


def test_chunks_of_samples_that_nobody_holds_any_more_are_dropped():
    source, other = Source(5), Source(2)
    read = source.read
    with one_worker(keep=1 << 20) as executor:
        objective = MapReduceObjective(Rounding(), executor, chunk=2)
        objective.value(torch.ones(3), source)
        del source
        gc.collect()
        objective.value(torch.ones(3), other)
        assert alive(read) == 0
        assert alive(other.read) == 2


@pytest.mark.parametrize("chunks_kept", [1, 3])
def test_no_more_bytes_are_kept_than_were_allowed(chunks_kept):
    source, sample = Source(5), numbers(2)
    size = sum(tensor.nbytes for tensor in (sample.inputs, sample.lengths, sample.targets, sample.target_mask))
    with one_worker(keep=chunks_kept * size) as executor:
        objective = MapReduceObjective(Rounding(), executor, chunk=2)
        value = objective.value(torch.ones(3), source)
        assert alive(source.read) == chunks_kept
        assert objective.value(torch.ones(3), source) == value  # read again
        assert len(source.read) > 5
