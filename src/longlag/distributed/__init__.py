"""MapReduce: an objective's samples shared out among processes or machines, with the bits of one."""

from longlag.distributed.engine import MapReduceEngine
from longlag.distributed.executor import Executor
from longlag.distributed.files import ParquetSequences
from longlag.distributed.objective import MapReduceObjective
from longlag.distributed.process import ProcessExecutor
from longlag.distributed.ray import RayExecutor
from longlag.distributed.serial import SerialExecutor

__all__ = [
    "Executor",
    "MapReduceEngine",
    "MapReduceObjective",
    "ParquetSequences",
    "ProcessExecutor",
    "RayExecutor",
    "SerialExecutor",
]
