"""Forms of bases, imports, runs and sweeps. Ranges are checked in the domain, so that page and API say the same."""

from training.forms.runs import (
    BaseChangeForm,
    CutForm,
    ImportAdapterForm,
    PriorityForm,
    ReasonForm,
    RegisterBaseForm,
    RetryForm,
    RunForm,
    initial_run,
)
from training.forms.specs import SpecForm, from_spec
from training.forms.sweeps import SweepForm

__all__ = [
    "BaseChangeForm",
    "CutForm",
    "ImportAdapterForm",
    "PriorityForm",
    "ReasonForm",
    "RegisterBaseForm",
    "RetryForm",
    "RunForm",
    "SpecForm",
    "SweepForm",
    "from_spec",
    "initial_run",
]
