"""Gathers the evidence for one adapter in one slot, as it is now."""

from collections.abc import Iterator, Mapping
from typing import Any

from datasets_app.models import Overlap
from deployments.domain import evidence, gates
from deployments.engine import release
from deployments.models import Deployment, DeploymentRequest, Slot
from evaluation import selectors as evaluations
from evaluation.models import Evaluation, EvaluationItem
from projects import artefacts, lineage
from projects.domain.states import JobState
from projects.models import LedgerEntry

SCHEMA = 3
MISSING = "missing"


def collect(slot: Slot, adapter: Any, evaluation: Any | None, *, trusting_files: bool = False) -> dict[str, Any]:
    """All facts that an approval is bound to, with the result of every gate over them.

    `trusting_files` takes files of the recorded size for intact: quick enough for an overview, never for a decision.
    """
    facts = {
        "schema": SCHEMA,
        "slot": {"id": slot.pk, "name": slot.name, "target": slot.target},
        "live": _live(slot),
        "adapter": _adapter(adapter, trusting_files),
        "base": _base(adapter.base),
        "run": _run(adapter.run) if adapter.run else None,
        "import": _import(adapter.imported) if adapter.imported else None,
        "training_data": _version(adapter.dataset_version) if adapter.dataset_version else None,
        "evaluation": _evaluation(evaluation) if evaluation else None,
        "contamination": _contamination(adapter, evaluation),
        "stale": _stale(adapter, evaluation),
        "measurements": sorted({_measurement(done) for done in _finished_evaluations(adapter)}),
    }
    if evaluation is not None and (found := evaluations.otherwise(adapter, evaluation.base)):
        facts["other_base"] = _other_base(found)
    return facts | {"gates": {gate.code: gate.as_evidence() for gate in gates.judge(facts)}}


def collect_again(request: DeploymentRequest, *, trusting_files: bool = False) -> dict[str, Any]:
    """The evidence of a request, gathered anew from rows and files."""
    fresh = DeploymentRequest.objects.select_related(
        "slot",
        "adapter__base",
        "adapter__run__base",
        "adapter__imported",
        "adapter__dataset_version__dataset",
        "evaluation__base",
    ).get(pk=request.pk)
    return collect(fresh.slot, fresh.adapter, fresh.evaluation, trusting_files=trusting_files)


def changes_since(request: DeploymentRequest, *, trusting_files: bool = False) -> list[evidence.Change]:
    """What differs between the evidence that was submitted and the evidence now."""
    return evidence.changes(request.evidence, collect_again(request, trusting_files=trusting_files))


def _live(slot: Slot) -> dict[str, Any] | None:
    live = Deployment.objects.filter(slot=slot, live=True).select_related("adapter").first()
    if live is None:
        return None
    return {"adapter": live.adapter.name, "digest": live.digest}


def _adapter(adapter: Any, trusting_files: bool) -> dict[str, Any]:
    files = adapter.manifest.get("files", {})
    return {
        "id": adapter.pk,
        "name": adapter.name,
        "digest": adapter.digest,
        "rank": adapter.rank,
        "alpha": adapter.alpha,
        "findings": sorted(f"{found.code} {found.where}".strip() for found in adapter.found),
        "files": {name: entry["sha256"] for name, entry in files.items()},
        "found": dict(_found(adapter.key, files, trusting_files)),
    }


def _found(key: str, files: Mapping[str, Any], trusting: bool) -> Iterator[tuple[str, str]]:
    """The SHA-256 of every file that is there now, read from its bytes unless they are trusted."""
    try:
        folder = artefacts.fetch_directory(key, verify=False)
    except artefacts.ArtefactDamaged:
        yield from ((name, MISSING) for name in files)
        return
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    there.pop(artefacts.MANIFEST, None)
    for name in sorted({*files, *there}):
        if name not in there:
            yield name, MISSING
        elif trusting and name in files and there[name].stat().st_size == files[name]["size"]:
            yield name, files[name]["sha256"]
        else:
            yield name, release.sha256_of(there[name])


def _base(base: Any) -> dict[str, Any]:
    said = {"terms": base.terms, "end_of_life": base.end_of_life.isoformat() if base.end_of_life else ""}
    return {
        "id": base.pk,
        "name": base.name,
        "fingerprint": base.fingerprint,
        "revision": base.revision,
        "licence": base.licence,
    } | {name: text for name, text in said.items() if text}


def _other_base(found: evaluations.Cell) -> dict[str, Any]:
    """The base it would be served on, where that is not the one it was trained on, and who answers for it."""
    decision = found.decision
    return _base(found.base) | {
        "verdict": found.judgement.verdict.value,
        "reasons": sorted(found.judgement.codes),
        "probe": found.probe.digest if found.probe else None,
        "decision": {"id": decision.pk, "by": decision.decided_by.email, "reason": decision.reason}
        if decision
        else None,
    }


def _run(run: Any) -> dict[str, Any]:
    spec = run.spec or {}
    recipe = spec.get("recipe") or {}
    packages = spec.get("packages") or {}
    return {
        "id": run.pk,
        "name": run.name,
        "method": run.method,
        "state": run.state,
        "dataset_hash": (spec.get("data") or {}).get("content_hash"),
        "base_fingerprint": (spec.get("base") or {}).get("fingerprint"),
        "seed": recipe.get("seed"),
        "recipe_sha256": evidence.digest(recipe) if recipe else None,
        "packages_sha256": evidence.digest(packages) if packages else None,
        "ledger_lines": min(1, lines_of(run).count()),  # one is enough, and a correction voids nothing
    }


def _import(brought: Any) -> dict[str, Any]:
    """How an adapter that was not trained here came in; whoever declared something, it is they who are bound to it."""
    return {
        "id": brought.pk,
        "source": brought.source,
        "files": {entry["name"]: entry["sha256"] for entry in brought.files},
        "declared": brought.declared,
        "proof": brought.proof,
        "by": brought.imported_by_id,
    }


def lines_of(job: Any) -> Any:
    return LedgerEntry.objects.filter(project=job.project, subject_kind=job.job_label, subject_id=job.pk).order_by(
        "ended_at", "pk"
    )


def _version(version: Any) -> dict[str, Any]:
    return {
        "id": version.pk,
        "name": version.dataset.name,
        "number": version.number,
        "content_hash": version.content_hash,
        "rows": version.rows,
    }


def _evaluation(evaluation: Any) -> dict[str, Any]:
    return evaluations.evidence(evaluation) | {"outputs_sha256": _outputs(evaluation)}


def _outputs(evaluation: Any) -> str:
    """One hash over every answer that the reviewer can read, so that none can be changed afterwards."""
    rows = (
        EvaluationItem.objects.filter(evaluation=evaluation)
        .order_by("index")
        .values_list("row_id", "base_output", "adapter_output", "scores")
    )
    return evidence.digest([list(row) for row in rows])


def trained_on(adapter: Any) -> list[Any]:
    """The dataset versions of an adapter and of the adapters it goes on from; None for one that nobody knows."""
    versions, seen = [], set()
    while adapter is not None and adapter.pk not in seen:
        seen.add(adapter.pk)
        versions.append(adapter.dataset_version)
        adapter = adapter.parent
    return versions


def _contamination(adapter: Any, evaluation: Any | None) -> dict[str, int] | None:
    """Golden rows in anything the adapter was trained on; None when a pair has not been compared."""
    if evaluation is None:
        return None
    versions = trained_on(adapter)
    if None in versions:
        return None
    overlaps = Overlap.objects.filter(golden_version=evaluation.golden, version__in=versions)
    if overlaps.count() < len({version.pk for version in versions}):
        return None
    return {
        "exact": sum(overlap.exact for overlap in overlaps),
        "normalised": sum(overlap.normalised for overlap in overlaps),
        "similar": sum(overlap.ngram + overlap.near for overlap in overlaps),
    }


def _stale(adapter: Any, evaluation: Any | None) -> list[str]:
    """What was withdrawn or erased among all that adapter and evaluation stand on, in words."""
    nodes = [f"adapter:{adapter.pk}", *([f"evaluation:{evaluation.pk}"] if evaluation else [])]
    carried = lineage.stale(adapter.project, *nodes)
    marks = {mark for found in carried.values() for mark in found if mark.decided}
    labels = lineage.nodes(adapter.project, {mark.node for mark in marks})
    return sorted(f"{getattr(labels.get(m.node), 'label', m.node)}: {m.words}. {m.reason}" for m in marks)


def _finished_evaluations(adapter: Any) -> Any:
    return Evaluation.objects.filter(adapter=adapter, state=JobState.SUCCEEDED).select_related(
        "golden", "base", "adapter"
    )


def _measurement(evaluation: Any) -> str:
    """What an evaluation found, without its number: measuring again with the same result changes nothing."""
    primary = evaluation.summary.get("primary")
    score = (evaluation.summary.get("graders") or {}).get(primary) or {}
    low, high = score.get("low"), score.get("high")
    told = f"{evaluation.golden.content_hash[:12]} {primary} {score.get('difference')} [{low}, {high}]"
    own = evaluation.base_id == evaluation.adapter.base_id
    return told if own else f"{told} on {evaluation.base.fingerprint[:12]}"
