"""What people have decided to live with."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from datasets_app.domain import dismissals
from datasets_app.domain.findings import Severity
from datasets_app.models import Dataset, Dismissal, Finding

Decided: TypeAlias = Mapping[tuple[int, str], Any]  # (dataset, code) → the standing dismissal


def standing(datasets: Iterable[Dataset]) -> Decided:
    """The standing dismissals of these datasets, with the severity of the finding when it was dismissed."""
    severity = Finding.objects.filter(version=OuterRef("version"), code=OuterRef("code")).values("severity")[:1]
    found = (
        Dismissal.objects.filter(dataset__in=list(datasets), withdrawn_at__isnull=True)
        .select_related("by", "version")
        .annotate(severity=Coalesce(Subquery(severity), Value(Severity.INFO.value)))
    )
    return {(one.dataset_id, one.code): one for one in found}


def history(dataset: Dataset) -> QuerySet[Dismissal]:
    """Every decision ever made about the dataset, newest first."""
    return dataset.dismissals.select_related("by", "withdrawn_by", "version__dataset").order_by("-at", "-pk")


def holds(dismissal: Any, finding: Finding) -> bool:
    return dismissals.holds(
        dismissed=dismissal.count, as_severity=dismissal.severity, count=finding.count, severity=finding.severity
    )
