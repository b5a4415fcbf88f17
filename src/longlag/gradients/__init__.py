"""Gradients, whole and truncated. Engines answer ``value_and_gradient(network, loss, batch)``."""

from longlag.gradients.backpropagation import Backpropagation
from longlag.gradients.check import GradientCheck, check_gradient, finite_differences
from longlag.gradients.engine import Gradient, GradientEngine
from longlag.gradients.feeding import ScheduledSampling, free_run
from longlag.gradients.objective import NetworkObjective
from longlag.gradients.rtrl import RTRL
from longlag.gradients.tbptt import TruncatedBPTT

__all__ = [
    "RTRL",
    "Backpropagation",
    "Gradient",
    "GradientCheck",
    "GradientEngine",
    "NetworkObjective",
    "ScheduledSampling",
    "TruncatedBPTT",
    "check_gradient",
    "finite_differences",
    "free_run",
]
