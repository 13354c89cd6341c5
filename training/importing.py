"""Importing adapters: what the reading child is given, what it finds, and what becomes an adapter."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from projects import artefacts, leases
from projects.domain.errors import Refused
from projects.jobs import JobKind, Limits
from training import proving, selectors, supervisor
from training.domain.matching import Proof
from training.models import Adapter, AdapterImport, BaseModelVersion

Event = dict[str, Any]
MOST_FINDINGS = 200


def prepare(row: AdapterImport, workdir: Path) -> list[str]:
    bases = [row.base] if row.base else list(selectors.ready_bases(row.project))
    spec = {
        "source": str(artefacts.fetch_directory(row.key)),
        "work_dir": str(workdir / "came"),
        "out_dir": str(workdir / "out"),
        "most_bytes": settings.MAX_UPLOAD_BYTES,
        "name": row.name,
        "origin": row.source,
        "chosen": row.base_id,
        "candidates": [_candidate(base) for base in bases],
    }
    return supervisor.command(KIND.label, workdir, spec)


def _candidate(base: BaseModelVersion) -> dict[str, Any]:
    told = ("id", "name", "repo_id", "revision", "fingerprint", "parts")
    place = {"path": str(base.folder), "shown_as": base.repo_id or base.name, "licence": base.licence}
    return {name: getattr(base, name) for name in told} | place


def note(row: AdapterImport, event: Event) -> None:
    """All that speaks against the files, whether they are refused or not."""
    if event["event"] == "findings":
        leases.fenced_update(row, findings=event["findings"][:MOST_FINDINGS], declared=event["declared"])


def complete(row: AdapterImport, workdir: Path, result: Event) -> None:
    """First the files, under a key that holds the fence; then the row that makes them an adapter."""
    made = result["adapter"]
    base = selectors.ready_bases(row.project).filter(pk=result["base"]).first()
    if base is None:
        raise Refused(
            "The base model has been removed meanwhile. Register it again, then retry.", code="base_not_found"
        )
    key = f"adapters/imports/{row.pk}/f{row.fence}"
    manifest = artefacts.commit_directory(workdir / "out", key)
    if manifest["files"] != made["files"]:
        raise Refused("The adapter's files are not what was read. Retry the import.", code="adapter_invalid")
    adapter = Adapter.objects.create(
        project=row.project,
        imported=row,
        name=supervisor.free_name(row.project, row.name, f"import {row.pk}"),
        base=base,
        dataset_version=row.dataset_version,
        key=key,
        manifest=manifest,
        digest=manifest["digest"],
        rank=made["rank"],
        alpha=made["alpha"],
        size_bytes=made["size_bytes"],
        findings=result["findings"],
    )
    proving.keep(adapter, made, by=row)
    came = row.key
    leases.fenced_update(
        row,
        base=base,
        proof=Proof(result["proof"]).value,
        declared=result["declared"],
        findings=result["findings"],
        key="",
    )
    transaction.on_commit(lambda: artefacts.delete(came))


KIND = JobKind(
    label="training.adapter_import",
    model=AdapterImport,
    queue="cpu",
    cause="training",
    prepare=prepare,
    on_event=note,
    complete=complete,
    limits=Limits(memory_bytes=4 * 1024**3, cpu_seconds=900),
)
