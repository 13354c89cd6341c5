"""Derived models beside their adapter: what the engine is given, and what is kept as evidence."""

import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from evaluation import scoring, selectors
from evaluation.engine import spec as specs
from evaluation.engine.equating_spec import EquivalenceSpec
from evaluation.models import Equivalence
from evaluation.selectors.equivalences import ITEMS
from projects import artefacts, leases
from projects.domain.errors import Refused
from projects.jobs import JobKind
from training import proving
from training import selectors as training
from training.domain import anatomy
from training.models import DerivedModel


def prepare(row: Equivalence, workdir: Path) -> list[str]:
    """Write the questions and the spec. Files are checked here against the row, and again where they are loaded."""
    chosen, made, adapter = row.settings, row.derived, row.derived.adapter
    if row.digest_of_model != made.digest:
        raise Refused("The model has been made anew since. Start another evaluation.", code="model_changed")
    asked = selectors.questions(row.golden, limit=chosen["limit"], seed=chosen["seed"])
    if not asked:
        raise Refused(
            f"{row.golden} has no row with a question and an expected answer. Choose another golden set.",
            code="golden_empty",
        )
    specs.write_lines(workdir / "questions.jsonl", iter(asked))
    spec = EquivalenceSpec(
        kind=made.kind,
        base=str(training.base_path(adapter.base)),
        parts=adapter.base.parts,
        revision=adapter.base.revision or adapter.base.fingerprint,
        adapter=str(training.adapter_path(adapter)),
        manifest=adapter.manifest,
        derived=str(training.derived_path(made)),
        files=made.manifest["files"],
        hashes=made.facts.get("tensors") or {},
        questions=str(workdir / "questions.jsonl"),
        items=str(workdir / ITEMS),
        graders=row.graders,
        primary=chosen["primary"],
        max_new_tokens=chosen["max_new_tokens"],
        margin=chosen["margin"],
        seed=chosen["seed"],
        proof=proving.stored(adapter),
        seen={numerics: one["seen"] for numerics, one in made.proofs.items()},
    )
    spec.write(workdir / "spec.json")
    return [*settings.ENGINES[KIND.label], str(workdir / "spec.json")]


def note(row: Equivalence, event: dict[str, Any]) -> None:
    """The device decides the price; what a load has told of the adapter for the first time is kept with it."""
    if event["event"] == "started":
        leases.fenced_update(row, device=str(event.get("device", "cpu"))[:40])
    scoring.note_proof(row, row.derived.adapter, event)


def complete(row: Equivalence, workdir: Path, result: dict[str, Any]) -> None:
    """First both answers, under a key that holds the fence; then the figures and the hash of both."""
    figures, proof = result.get("figures") or {}, result.get("proof") or {}
    out = workdir / "out"
    try:
        rows = list(specs.read_lines(workdir / ITEMS))
        if not rows or figures.get("n") != len(rows):
            raise ValueError(f"{figures.get('n')} answers were told and {len(rows)} written")
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        shutil.copyfile(workdir / ITEMS, out / ITEMS)
    except (OSError, ValueError) as error:
        text = f"The engine left no answers that fit: {error}. Retry the evaluation."
        raise Refused(text, code="answers_incomplete") from error
    key = f"equivalences/{row.pk}/f{row.fence}"
    manifest = artefacts.commit_directory(out, key)
    _keep_proof(row.derived, proof)
    leases.fenced_update(
        row,
        figures=figures,
        told={name: result.get(name) for name in ("seconds", "tokens", "packages")} | {"proof": _short(proof)},
        key=key,
        manifest=manifest,
        digest=anatomy.digest([figures, manifest["digest"], row.digest_of_model]),
    )


def _keep_proof(made: DerivedModel, proof: dict[str, Any]) -> None:
    """The first load in another kind of numbers stores what it read, once all else was found right."""
    if proof.get("first") and "seen" in proof:
        now = DerivedModel.objects.select_for_update().get(pk=made.pk)
        now.proofs.setdefault(proof["numerics"], proof)
        DerivedModel.objects.filter(pk=made.pk, digest=made.digest).update(proofs=now.proofs)


def _short(proof: dict[str, Any]) -> dict[str, Any]:
    return {name: proof.get(name) for name in ("numerics", "kept", "apart", "effect")}


def forget_answers(instance: Equivalence, **_: Any) -> None:
    """With the row go the files: golden rows are in them."""
    key = instance.key
    if key:
        transaction.on_commit(lambda: artefacts.delete(key))


KIND = JobKind(
    label="evaluation.equivalence",
    model=Equivalence,
    queue="gpu",
    cause="evaluation",
    prepare=prepare,
    on_event=note,
    complete=complete,
    working=frozenset({"adapter", "derived", "comparing"}),
)
