"""What people do about evaluations, probes, bases that are not the same, and models made of adapters."""

from evaluation.services.compatibility import cancel_probe, probe_pair, retry_probe
from evaluation.services.equivalences import (
    cancel_equivalence,
    evaluate_derived,
    evaluate_every_derived,
    retry_equivalence,
)
from evaluation.services.evaluations import cancel_evaluation, retry_evaluation, start_evaluation

__all__ = [
    "cancel_equivalence",
    "cancel_evaluation",
    "cancel_probe",
    "evaluate_derived",
    "evaluate_every_derived",
    "probe_pair",
    "retry_equivalence",
    "retry_evaluation",
    "retry_probe",
    "start_evaluation",
]
