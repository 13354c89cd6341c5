"""The list of datasets and the page of one."""

from typing import Any

from django.conf import settings

from datasets_app import selectors
from datasets_app.domain.purposes import PURPOSE_HELP, Purpose
from datasets_app.models import Dataset
from datasets_app.pages.findings import figures, judged


def list_page(project: Any, purpose: str) -> dict[str, Any]:
    tabs = [("", "All"), ("training", "Training"), ("golden", "Golden"), ("retention", "Retention")]
    known = purpose if purpose in list(Purpose) else ""
    return {"listed": selectors.dataset_list(project, known), "tabs": tabs, "purpose": known}


def dataset_page(dataset: Dataset) -> dict[str, Any]:
    versions = list(
        dataset.versions.order_by("-number").prefetch_related("findings", "parents").select_related("created_by")
    )
    latest = versions[0] if versions else None
    uploads = dataset.uploads.select_related("version", "uploaded_by").order_by("-pk")[:10]
    return {
        "dataset": dataset,
        "max_bytes": settings.MAX_UPLOAD_BYTES,
        "purpose_help": PURPOSE_HELP[Purpose(dataset.purpose)],
        "verdict": selectors.verdict(dataset, latest),
        "versions": versions,
        "changes": selectors.proposals(dataset.project).filter(dataset=dataset),
        "version": latest,
        "uploads": uploads,
        "work": [
            *dataset.uploads.filter(state__in=["queued", "running"]),
            *dataset.builds.filter(state__in=["queued", "running"]),
        ],
        "failed_build": dataset.builds.filter(state="failed", source=latest).order_by("-pk").first(),
        "figures": figures(latest, versions),
        **(judged(latest) if latest else {}),
    }
