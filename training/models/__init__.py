"""How we train: base-model versions, runs and their metrics, adapters, and datasets as bases see them."""

from training.models.adapter import Adapter, AdapterImport
from training.models.compatibility import AdapterAnatomy, BaseAnatomy, BaseDecision, EffectProof
from training.models.copies import BaseCheck, BaseCopy
from training.models.derived import DerivedModel
from training.models.finetuning import FineTuningJob
from training.models.metrics import MetricChunk, RunSample
from training.models.projections import ProjectionRecord, Rehearsal
from training.models.run import METHODS, SOURCES, BaseModelVersion, Run
from training.models.sweep import STOPPING, STRATEGIES, Sweep, Trial
from training.models.tokens import SeenRow, TokenProfile

__all__ = [
    "METHODS",
    "SOURCES",
    "STOPPING",
    "STRATEGIES",
    "Adapter",
    "AdapterAnatomy",
    "AdapterImport",
    "BaseAnatomy",
    "BaseCheck",
    "BaseCopy",
    "BaseDecision",
    "BaseModelVersion",
    "DerivedModel",
    "EffectProof",
    "FineTuningJob",
    "MetricChunk",
    "ProjectionRecord",
    "Rehearsal",
    "Run",
    "RunSample",
    "SeenRow",
    "Sweep",
    "TokenProfile",
    "Trial",
]
