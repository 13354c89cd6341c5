"""Datasets with their latest version and its verdict."""

from typing import Any

from django.db.models import Count, OuterRef, Q, Subquery

from datasets_app.models import Dataset, DatasetVersion
from datasets_app.selectors.dismissals import Decided, standing
from datasets_app.selectors.findings import verdict
from projects.domain.states import JobState
from projects.models import Project


def latest_version(dataset: Dataset) -> DatasetVersion | None:
    return dataset.versions.order_by("-number").first()


def dataset_list(project: Project, purpose: str = "") -> list[dict[str, Any]]:
    """Datasets with their latest version and its verdict, newest work first, in a fixed number of queries."""
    newest = DatasetVersion.objects.filter(dataset=OuterRef("pk")).order_by("-number")
    datasets = (
        Dataset.objects.filter(project=project)
        .annotate(
            latest_id=Subquery(newest.values("pk")[:1]),
            versions_made=Count("versions", distinct=True),
            reading=Count("uploads", Q(uploads__state__in=[JobState.QUEUED, JobState.RUNNING]), distinct=True),
        )
        .order_by("-pk")
    )
    if purpose:
        datasets = datasets.filter(purpose=purpose)
    listed = list(datasets)
    versions = (
        DatasetVersion.objects.filter(pk__in=[d.latest_id for d in listed])
        .select_related("dataset")
        .prefetch_related("findings")
        .in_bulk()
    )
    decided = standing(listed)
    return [_listed(dataset, versions.get(dataset.latest_id), decided) for dataset in listed]


def _listed(dataset: Any, version: DatasetVersion | None, decided: Decided) -> dict[str, Any]:
    return {"dataset": dataset, "version": version, "verdict": verdict(dataset, version, decided)}
