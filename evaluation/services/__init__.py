"""What people do about evaluations, probes and bases that are not the same."""

from evaluation.services.compatibility import cancel_probe, probe_pair, retry_probe
from evaluation.services.evaluations import cancel_evaluation, retry_evaluation, start_evaluation

__all__ = [
    "cancel_evaluation",
    "cancel_probe",
    "probe_pair",
    "retry_evaluation",
    "retry_probe",
    "start_evaluation",
]
