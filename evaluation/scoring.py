"""Bodies of the background work: what the engine is given, what is noted while it works, what is kept."""

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from evaluation import selectors
from evaluation.domain import ranking
from evaluation.engine import spec as specs
from evaluation.engine.spec import EvaluationSpec
from evaluation.models import Evaluation, EvaluationItem
from projects import leases
from projects.domain.errors import Refused
from projects.models import LeasedJob
from training import proving
from training import selectors as training
from training.models import Adapter

TEXTS = ("prompt", "expected", "base_output", "adapter_output")


def prepare(evaluation: Evaluation, workdir: Path) -> list[str]:
    """Write the questions and the spec; the engine sees no database and asks nobody."""
    chosen = evaluation.settings
    asked = selectors.questions(evaluation.golden, limit=chosen["limit"], seed=chosen["seed"])
    if not asked:
        raise Refused(
            f"{evaluation.golden} has no row with a question and an expected answer. Choose another golden set.",
            code="golden_empty",
        )
    specs.write_lines(workdir / "questions.jsonl", iter(asked))
    spec = EvaluationSpec(
        base=str(training.base_path(evaluation.base)),
        parts=evaluation.base.parts,
        revision=evaluation.adapter.base.revision or evaluation.adapter.base.fingerprint,
        adapter=str(training.adapter_path(evaluation.adapter)),
        manifest=evaluation.adapter.manifest,
        questions=str(workdir / "questions.jsonl"),
        items=str(workdir / "items.jsonl"),
        retention=_retention(evaluation, workdir / "retention.jsonl"),
        graders=evaluation.graders,
        primary=chosen["primary"],
        max_new_tokens=chosen["max_new_tokens"],
        seed=chosen["seed"],
        proof=proving.stored(evaluation.adapter),
        own_base=evaluation.base.fingerprint == evaluation.adapter.base.fingerprint,
    )
    spec.write(workdir / "spec.json")
    return [*settings.ENGINES["evaluation.evaluation"], str(workdir / "spec.json")]


def _retention(evaluation: Evaluation, path: Path) -> str:
    if evaluation.retention is None:
        return ""
    chosen = evaluation.settings
    rows = selectors.retention_rows(evaluation.retention, limit=chosen["retention_limit"], seed=chosen["seed"])
    if not rows:
        raise Refused(f"{evaluation.retention} has no text. Choose another retention set.", code="retention_empty")
    specs.write_lines(path, iter(rows))
    return str(path)


def note(evaluation: Evaluation, event: dict[str, Any]) -> None:
    """The device decides the price of an hour, so it is written down as soon as it is known."""
    if event["event"] == "started":
        leases.fenced_update(evaluation, device=str(event.get("device", "cpu"))[:40])
    note_proof(evaluation, evaluation.adapter, event)


def note_proof(job: LeasedJob, adapter: Adapter, event: dict[str, Any]) -> None:
    """What a load has told of an adapter for the first time is kept with it; a lost lease writes nothing."""
    made = {"anatomy": event["anatomy"]} if event["event"] == "anatomy" else {}
    if event["event"] == "proof" and event.get("first"):
        made = {"proof": event["observed"]}
    if made:
        with transaction.atomic():
            leases.hold(job)
            proving.keep(adapter, made, by=job)


def complete(evaluation: Evaluation, workdir: Path, result: dict[str, Any]) -> None:
    """Keep every answer and the summary; an earlier attempt's answers make way."""
    path = workdir / "items.jsonl"
    try:
        rows = list(specs.read_lines(path))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError) as error:
        raise Refused("The engine left no readable answers. Retry the evaluation.", code="no_answers") from error
    summary = result.get("summary") or {}
    if not rows or summary.get("n") != len(rows):
        raise Refused(
            f"The engine reported {summary.get('n')} answers and wrote {len(rows)}. Retry the evaluation.",
            code="answers_incomplete",
        )
    evaluation.items.all().delete()
    EvaluationItem.objects.bulk_create(_items(evaluation, rows), batch_size=500)
    leases.fenced_update(evaluation, summary=summary | {"items_sha256": digest})


def _items(evaluation: Evaluation, rows: list[dict[str, Any]]) -> list[EvaluationItem]:
    """Rows in the order of the golden set, each with its place in the reading order."""
    primary = evaluation.settings["primary"]
    rows = sorted(rows, key=lambda row: row["index"])
    weights = (ranking.weight(row["scores"]["base"], row["scores"]["adapter"], primary) for row in rows)
    order = ranking.worst_first(zip((row["index"] for row in rows), weights, strict=True))
    places = {index: place for place, index in enumerate(order)}
    return [
        EvaluationItem(
            evaluation=evaluation,
            index=row["index"],
            row_id=row["row_id"],
            scores=row["scores"],
            change=row["change"],
            outcome=row["outcome"],
            place=places[row["index"]],
            **{name: storable(row[name]) for name in TEXTS},
        )
        for row in rows
    ]


def storable(text: str) -> str:
    """Text that every database takes: no NUL, no half characters."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\N{REPLACEMENT CHARACTER}")
