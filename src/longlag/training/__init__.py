"""The one training loop, its configuration, stopping, callbacks, checkpoints and record."""

from longlag.renamed import renamed
from longlag.training.callbacks import BatchEnd, Callback, Stage, TrainingInfo
from longlag.training.config import TrainingConfig
from longlag.training.evaluation import evaluate
from longlag.training.loop import train
from longlag.training.progress import ProgressBar
from longlag.training.result import TrainingResult
from longlag.training.run import Run
from longlag.training.schedules import Schedule
from longlag.training.trackers import MLflow, OptunaPruning, TensorBoard

__all__ = [
    "BatchEnd",
    "Callback",
    "MLflow",
    "OptunaPruning",
    "ProgressBar",
    "Run",
    "Schedule",
    "Stage",
    "TensorBoard",
    "TrainingConfig",
    "TrainingInfo",
    "TrainingResult",
    "evaluate",
    "train",
]

__getattr__ = renamed(__name__, {"Observer": "Callback"})
