"""Making models of adapters: what the child is given, what is noted of it, what is kept."""

import shutil
from pathlib import Path
from typing import Any

from django.db import transaction

from projects import artefacts, leases
from projects.domain.errors import Refused
from projects.domain.states import JobState
from projects.jobs import JobKind, Limits
from training import proving, selectors, supervisor
from training.engine.derive_spec import DeriveSpec
from training.models import DerivedModel

Event = dict[str, Any]


def prepare(row: DerivedModel, workdir: Path) -> list[str]:
    adapter = row.adapter
    base = adapter.base
    store = artefacts.room()
    spec = DeriveSpec(
        kind=row.kind,
        name=str(row),
        base=str(selectors.base_path(base)),
        base_name=base.repo_id or base.name,
        fingerprint=base.fingerprint,
        parts=base.parts,
        adapter=str(selectors.adapter_path(adapter)),
        adapter_name=adapter.name,
        adapter_digest=adapter.digest,
        manifest=adapter.manifest,
        revision=base.revision or base.fingerprint,
        proof=proving.stored(adapter),
        parts_dir=str(row.parts_dir),
        out_dir=str(workdir / "out"),
        store_dir=str(store) if store else "",
        card={"licence": base.licence, "datasets": selectors.card_datasets(adapter)},
    )
    spec.write(workdir / "spec.json")
    return supervisor.engine_of(KIND.label, workdir / "spec.json")


def note(row: DerivedModel, event: Event) -> None:
    """The device decides the price; what a load has told of the adapter for the first time is kept with it."""
    if event["event"] == "started":
        leases.fenced_update(row, device=str(event.get("device", "cpu"))[:40])
    made = {"anatomy": event["anatomy"]} if event["event"] == "anatomy" else {}
    if event["event"] == "proof" and event.get("first"):
        made = {"proof": event["observed"]}
    if made:
        with transaction.atomic():
            leases.hold(row)
            proving.keep(row.adapter, made, by=row)


def complete(row: DerivedModel, workdir: Path, result: Event) -> None:
    """First the files, under a key that holds the fence; then the row that knows them."""
    files, proof = result.get("files") or {}, result.get("proof") or {}
    if not files or "seen" not in proof:
        raise Refused("The engine reported no model. Try again.", code="no_result")
    key = f"derived/{row.pk}/f{row.fence}"
    manifest = artefacts.commit_made(workdir / "out", key, files)
    leases.fenced_update(
        row,
        key=key,
        manifest=manifest,
        digest=manifest["digest"],
        size_bytes=sum(entry["size"] for entry in manifest["files"].values()),
        facts=result["facts"],
        proofs={proof["numerics"]: proof},
        told={name: result.get(name) for name in ("seconds", "packages")},
    )


def tidy(row: DerivedModel) -> None:
    """Once it is stored, or nobody wants it any more, the parts are only in the way. A retry goes on from them."""
    if row.state in {JobState.SUCCEEDED, JobState.CANCELLED}:
        shutil.rmtree(row.parts_dir, ignore_errors=True)


KIND = JobKind(
    label="training.derived",
    model=DerivedModel,
    queue="gpu",
    cause="training",
    prepare=prepare,
    on_event=note,
    complete=complete,
    after=tidy,
    working=frozenset({"weights", "comparing", "proving"}),
    # What it writes it has weighed against the disk before; what it computes takes minutes, and hours are a fault.
    limits=Limits(cpu_seconds=12 * 3600),
)
