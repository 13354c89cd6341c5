"""What a run will take, before it starts: tokens, time, memory, disk and money as P10, P50 and P90, with the reason."""

from training.domain.projection.bands import Band, Guess
from training.domain.projection.calibration import Calibration
from training.domain.projection.formula import Shape
from training.domain.projection.measured import Measured
from training.domain.projection.plan import Plan, make
from training.domain.projection.projecting import Projection, compare, cost, project
from training.domain.projection.workload import Workload, of_lengths

__all__ = [
    "Band",
    "Calibration",
    "Guess",
    "Measured",
    "Plan",
    "Projection",
    "Shape",
    "Workload",
    "compare",
    "cost",
    "make",
    "of_lengths",
    "project",
]
