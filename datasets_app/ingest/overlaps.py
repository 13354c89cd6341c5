"""What versions share with golden sets: found while rows are read, or in a child when a golden set comes later."""

import shutil
from pathlib import Path
from typing import Any

from django.db import transaction

from datasets_app import selectors
from datasets_app.domain.purposes import Purpose
from datasets_app.ingest.children import Event, command
from datasets_app.models import Comparison, DatasetVersion, Overlap, Shared, Stage
from projects import leases, supervision
from projects.domain.states import JobState

KINDS = ("exact", "normalised", "ngram", "near")
SHOWN_ROWS = 1000
SYSTEM = "luthier"


def keep_overlaps(version: DatasetVersion, found: dict[str, Any] | None) -> None:
    """Store what the child said: {golden set: {"exact", "normalised", "ngram", "near", "rows": {kind: rows}}}."""
    if version.dataset.purpose == Purpose.GOLDEN or not found:
        return
    known = {golden.pk for golden in selectors.golden_versions(version.project)}
    for number, one in found.items():
        if int(number) in known:
            Overlap.objects.update_or_create(version=version, golden_version_id=int(number), defaults=_counted(one))


def _counted(one: dict[str, Any]) -> dict[str, Any]:
    rows = sorted({int(row) for listed in one.get("rows", {}).values() for row in listed})
    return {**{kind: int(one.get(kind, 0)) for kind in KINDS}, "rows": rows[:SHOWN_ROWS]}


def compare_later(version: DatasetVersion) -> None:
    """Queue the comparisons that are missing: of this version, or of all that train when it is a golden set."""
    if version.stage != Stage.RELEASED and version.dataset.purpose == Purpose.GOLDEN:
        return  # nothing is held against a golden set that is only proposed
    if version.dataset.purpose != Purpose.GOLDEN:
        queue_comparison(version)
        return
    trained = DatasetVersion.every.filter(dataset__project=version.project, dataset__purpose=Purpose.TRAINING).exclude(
        stage=Stage.DECLINED
    )
    for other in trained.select_related("dataset__project").order_by("-pk"):
        queue_comparison(other)


@transaction.atomic
def queue_comparison(version: DatasetVersion, *, actor: str = SYSTEM) -> Comparison | None:
    """The one that waits or runs is enough: it looks up what is missing when it begins."""
    if not selectors.missing_comparisons(version).exists():
        return None
    waiting = version.comparisons.filter(state=JobState.QUEUED, held_out=None).first()
    if waiting is not None:
        return waiting
    comparison = Comparison.objects.create(project=version.project, version=version)
    leases.queue_job(comparison, actor=actor, priority=1)
    return comparison


@transaction.atomic
def queue_sharing(
    version: DatasetVersion, held_out: DatasetVersion, *, actor: str = SYSTEM, again: bool = False
) -> Comparison | None:
    """Count the rows that stand in both, once; None when that is known. `again`: also where it has failed."""
    if selectors.shared(version, held_out) is not None:
        return None
    last = selectors.last_sharing(version, held_out)
    if last is not None and (last.is_active or (last.state == JobState.FAILED and not again)):
        return last
    comparison = Comparison.objects.create(project=version.project, version=version, held_out=held_out)
    leases.queue_job(comparison, actor=actor, priority=1)
    return comparison


def prepare_comparison(comparison: Comparison, workdir: Path) -> list[str]:
    version = comparison.version
    if comparison.held_out is not None:
        golden = [comparison.held_out]
    else:
        golden = list(selectors.missing_comparisons(version).select_related("dataset__project"))
    return command(
        workdir,
        {
            "task": "comparison",
            "source": str(selectors.version_path(version)),
            "purpose": version.dataset.purpose,
            "golden": [{"id": one.pk, "path": str(selectors.version_path(one))} for one in golden],
        },
    )


def complete_comparison(comparison: Comparison, workdir: Path, result: Event) -> None:
    if comparison.held_out is None:
        keep_overlaps(comparison.version, result["overlaps"])
        return
    found = result["overlaps"][str(comparison.held_out_id)]
    Shared.objects.update_or_create(version=comparison.version, held_out=comparison.held_out, defaults=_counted(found))


def after_comparison(comparison: Comparison) -> None:
    """A golden set may have come while this one ran."""
    shutil.rmtree(supervision.workdir_of(comparison) / "out", ignore_errors=True)
    comparison.refresh_from_db()
    if comparison.state == JobState.SUCCEEDED and comparison.held_out_id is None:
        queue_comparison(comparison.version)
