"""Probes of adapters on other versions of their base: what the engine is given, and what is kept as evidence."""

import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from evaluation import scoring, selectors
from evaluation.domain import drift
from evaluation.engine import spec as specs
from evaluation.engine.drift_spec import ProbeSpec
from evaluation.models import Probe
from evaluation.selectors.compatibility import READINGS
from projects import artefacts, leases
from projects.domain.errors import Refused
from projects.jobs import JobKind
from training import proving
from training import selectors as training
from training.domain import anatomy


def prepare(probe: Probe, workdir: Path) -> list[str]:
    """Write the prompts and the spec. Both versions must lie where this worker looks for them."""
    chosen, adapter = probe.settings, probe.adapter
    asked = selectors.questions(probe.golden, limit=chosen["limit"], seed=chosen["seed"])
    if not asked:
        raise Refused(
            f"{probe.golden} has no row with a question and an expected answer. Choose another golden set.",
            code="golden_empty",
        )
    specs.write_lines(workdir / "questions.jsonl", iter(asked))
    sides = {"own": adapter.base, "other": probe.base}
    spec = ProbeSpec(
        own=str(training.base_path(adapter.base)),
        own_parts=adapter.base.parts,
        other=str(training.base_path(probe.base)),
        other_parts=probe.base.parts,
        adapter=str(training.adapter_path(adapter)),
        manifest=adapter.manifest,
        revision=adapter.base.revision or adapter.base.fingerprint,
        questions=str(workdir / "questions.jsonl"),
        readings=str(workdir / READINGS),
        seed=chosen["seed"],
        reloads=chosen["reloads"],
        proof=proving.stored(adapter),
        identical=adapter.base.fingerprint == probe.base.fingerprint,
        describe=[name for name, base in sides.items() if not training.described(base).anatomy],
    )
    spec.write(workdir / "spec.json")
    return [*settings.ENGINES["evaluation.probe"], str(workdir / "spec.json")]


def note(probe: Probe, event: dict[str, Any]) -> None:
    """The device decides the price; what was never recorded of base or adapter is, now that they are read."""
    if event["event"] == "started":
        leases.fenced_update(probe, device=str(event.get("device", "cpu"))[:40])
    if event["event"] == "base_anatomy":
        base = probe.adapter.base if event["which"] == "own" else probe.base
        with transaction.atomic():
            leases.hold(probe)
            proving.describe(base, event["anatomy"])
    scoring.note_proof(probe, probe.adapter, event)


def complete(probe: Probe, workdir: Path, result: dict[str, Any]) -> None:
    """First the readings, under a key that holds the fence; then the figures and the hash of both."""
    figures = result.get("figures") or {}
    out = workdir / "out"
    try:
        rows = list(specs.read_lines(workdir / READINGS))
        if not rows or figures.get("prompts") != len(rows):
            raise ValueError(f"{figures.get('prompts')} readings were told and {len(rows)} written")
        for row in rows:
            drift.Reading.read(row)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        shutil.copyfile(workdir / READINGS, out / READINGS)
    except (OSError, ValueError, KeyError) as error:
        raise Refused(f"The engine left no readings that fit: {error}. Retry the probe.", code="no_readings") from error
    key = f"probes/{probe.pk}/f{probe.fence}"
    manifest = artefacts.commit_directory(out, key)
    told = {name: result.get(name) for name in ("left_out", "seconds", "packages")}
    leases.fenced_update(
        probe,
        figures=figures,
        told=told,
        key=key,
        manifest=manifest,
        digest=anatomy.digest([figures, manifest["digest"]]),
    )


KIND = JobKind(
    label="evaluation.probe",
    model=Probe,
    queue="gpu",
    cause="evaluation",
    prepare=prepare,
    on_event=note,
    complete=complete,
)
