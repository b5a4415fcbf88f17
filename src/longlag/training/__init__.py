"""The one training loop, its configuration, stopping, checkpoints and record."""

from longlag.training.config import TrainingConfig
from longlag.training.evaluation import evaluate
from longlag.training.loop import Observer, TrainingResult, train
from longlag.training.progress import ProgressBar
from longlag.training.run import Run
from longlag.training.schedules import Schedule

__all__ = [
    "Observer",
    "ProgressBar",
    "Run",
    "Schedule",
    "TrainingConfig",
    "TrainingResult",
    "evaluate",
    "train",
]
