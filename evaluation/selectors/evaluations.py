"""What pages, the API and other apps read about evaluations."""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from datasets_app import selectors as datasets
from datasets_app.models import Dataset, DatasetVersion, Overlap
from evaluation.domain import answers, graders, verdicts
from evaluation.domain.verdicts import Verdict
from evaluation.models import Evaluation, EvaluationItem
from projects import access
from projects.contributions import Need
from projects.domain import money
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import LedgerEntry, Project, User
from training.models import Adapter

MOST_QUESTIONS = 5_000
PEEK = 500  # golden rows that are read to suggest graders and a length
RECENT = timedelta(days=14)


@dataclass(frozen=True)
class Score:
    """One grader's figures for both arms, as shares from 0 to 1."""

    name: str
    label: str
    help: str
    n: int
    base: float
    adapter: float
    difference: float
    low: float
    high: float
    gains: int
    losses: int
    p_value: float | None = None


@dataclass(frozen=True)
class Suggestion:
    """Settings that fit a golden set: which graders, which of them leads, how long an answer may be."""

    graders: list[str]
    primary: str
    max_new_tokens: int
    questions: int


@dataclass(frozen=True)
class Point:
    """One finished evaluation in the history of a golden set."""

    evaluation: Evaluation
    at: datetime
    score: Score


def evaluations(project: Project) -> QuerySet[Evaluation]:
    return (
        Evaluation.objects.filter(project=project)
        .select_related("project", "adapter", "base", "golden__dataset", "retention__dataset", "created_by")
        .order_by("-pk")
    )


def scores(evaluation: Evaluation) -> list[Score]:
    """The primary grader first, then the others in the order of the table."""
    found = evaluation.summary.get("graders") or {}
    counts = {"n": evaluation.summary.get("n", 0), "gains": 0, "losses": 0}
    listed = [
        Score(name=name, label=grader.label, help=grader.help, **(counts | found[name]))
        for name, grader in graders.GRADERS.items()
        if name in found
    ]
    return sorted(listed, key=lambda score: score.name != evaluation.summary.get("primary"))


def primary_score(evaluation: Evaluation) -> Score | None:
    return next(iter(scores(evaluation)), None)


def verdict(evaluation: Evaluation) -> Verdict | None:
    """The answer in a sentence, once there is one."""
    score = primary_score(evaluation)
    if score is None or evaluation.state != JobState.SUCCEEDED:
        return None
    return verdicts.verdict(
        score.name,
        n=score.n,
        base=score.base,
        adapter=score.adapter,
        difference=score.difference,
        low=score.low,
        high=score.high,
    )


def versions(project: Project, purpose: str) -> QuerySet[DatasetVersion]:
    """Versions of the project's golden or retention sets, the newest first."""
    return (
        DatasetVersion.objects.filter(dataset__project=project, dataset__purpose=purpose, rows__gt=0)
        .select_related("dataset")
        .order_by("-pk")
    )


def adapters(project: Project) -> QuerySet[Adapter]:
    return Adapter.objects.filter(project=project).select_related("base", "run").order_by("-pk")


def questions(version: DatasetVersion, *, limit: int | None = None, seed: int = 0) -> list[dict[str, Any]]:
    """The questions of a golden set as the engine reads them; of more than `limit`, a sample drawn with `seed`."""
    rows = _rows(version)
    asked = [(row, found) for row in rows if (found := answers.question(row)) is not None]
    most = min(limit or MOST_QUESTIONS, MOST_QUESTIONS)
    if len(asked) > most:
        kept = sorted(random.Random(seed).sample(range(len(asked)), most))
        asked = [asked[place] for place in kept]
    return [
        {"index": row["index"], "row_id": row["id"], "prompt": found.prompt} | asdict(found) for row, found in asked
    ]


def retention_rows(version: DatasetVersion, *, limit: int, seed: int) -> list[dict[str, Any]]:
    """General text or conversations, a sample of at most `limit` rows."""
    rows = [shown for row in _rows(version) if (shown := answers.general(row)) is not None]
    if len(rows) > limit:
        rows = [rows[place] for place in sorted(random.Random(seed).sample(range(len(rows)), limit))]
    return rows


def _rows(version: DatasetVersion, most: int = 100_000, step: int = 1_000) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for offset in range(0, min(version.rows, most), step):
        found += datasets.read_rows(version, offset, min(step, most - offset))[0]
    return found


def suggestion(version: DatasetVersion, names: Sequence[str] = ()) -> Suggestion:
    """What the expected answers themselves ask for; given names are kept."""
    rows = _rows(version, most=PEEK, step=PEEK)
    expected = [found.expected for row in rows if (found := answers.question(row)) is not None]
    chosen = list(names) or graders.suggested(expected)
    return Suggestion(chosen, graders.primary(chosen, expected), answers.answer_budget(expected), len(expected))


def golden_sets(project: Project) -> list[Dataset]:
    """Golden sets that have been used, the one used last first."""
    used = Evaluation.objects.filter(project=project, state=JobState.SUCCEEDED).order_by("-finished_at")
    order = list(dict.fromkeys(used.values_list("golden__dataset_id", flat=True)))
    found = Dataset.objects.in_bulk(order)
    return [found[pk] for pk in order]


def history(project: Project, dataset: Dataset) -> list[Point]:
    """Finished evaluations on one golden set in time, by the grader that leads the newest of them."""
    done = evaluations(project).filter(golden__dataset=dataset, state=JobState.SUCCEEDED).order_by("finished_at")
    rows = list(done)
    leading = rows[-1].summary.get("primary") if rows else None
    found = ((row, next((s for s in scores(row) if s.name == leading), None)) for row in rows)
    return [Point(row, row.finished_at or row.created_at, score) for row, score in found if score]


def items(evaluation: Evaluation, *, outcome: str = "", query: str = "") -> QuerySet[EvaluationItem]:
    """Golden rows with both answers, worst regressions first."""
    found = evaluation.items.order_by("place")
    if outcome == "unchanged":
        found = found.filter(outcome__in=["both_wrong", "both_right"])
    elif outcome:
        found = found.filter(outcome=outcome)
    for word in query.split()[:8]:
        found = found.filter(
            Q(prompt__icontains=word)
            | Q(expected__icontains=word)
            | Q(base_output__icontains=word)
            | Q(adapter_output__icontains=word)
        )
    return found


def row_scores(evaluation: Evaluation, grader: str) -> dict[int, float]:
    """The adapter's score of each golden row by one grader, by the number of the row."""
    items = evaluation.items.order_by("index").values_list("index", "scores")
    return {index: float(scores["adapter"][grader]) for index, scores in items if grader in scores["adapter"]}


def outcome_counts(evaluation: Evaluation) -> dict[str, int]:
    found = dict(evaluation.items.order_by().values_list("outcome").annotate(Count("pk")))
    return found | {
        "unchanged": found.get("both_wrong", 0) + found.get("both_right", 0),
        "": sum(found.values()),
    }


def leaked(evaluation: Evaluation) -> Overlap | None:
    """Golden rows that the adapter was trained on, if the two have been compared and share any."""
    shared = Overlap.objects.filter(
        version=evaluation.adapter.dataset_version_id, golden_version=evaluation.golden_id
    ).first()
    return shared if shared and shared.total else None


def costs(project: Project, pks: Sequence[int]) -> dict[int, Decimal]:
    """What evaluations have cost so far, failed attempts included; a running attempt counts up to now."""
    label = Evaluation._meta.label_lower
    found: dict[int, Decimal] = dict.fromkeys(pks, Decimal(0))
    lines = LedgerEntry.objects.filter(project=project, subject_kind=label, subject_id__in=pks)
    for pk, amount in lines.values_list("subject_id", "amount"):
        found[pk] += amount
    for row in Evaluation.objects.filter(pk__in=pks, state=JobState.RUNNING, started_at__isnull=False):
        seconds = (timezone.now() - row.started_at).total_seconds()  # type: ignore[operator]
        found[row.pk] += money.amount(money.hours(seconds), project.hour_price(row.device or "cpu"))
    return found


def evidence(evaluation: Evaluation) -> dict[str, Any]:
    """What a deployment request embeds: the result, and the hashes of everything it stands on."""
    summary = evaluation.summary
    return {
        "id": evaluation.pk,
        "adapter_id": evaluation.adapter_id,
        "adapter_digest": evaluation.adapter.digest,
        "base_fingerprint": evaluation.base.fingerprint,
        "state": evaluation.state,
        "golden": _named(evaluation.golden),
        "retention_set": _named(evaluation.retention) if evaluation.retention else None,
        "graders": summary.get("graders") or {},
        "primary": summary.get("primary"),
        "n": summary.get("n"),
        "retention_change_percent": (summary.get("retention") or {}).get("change_percent"),
        "settings": evaluation.settings,
        "items_sha256": summary.get("items_sha256"),
        "packages": summary.get("packages") or {},
    }


def _named(version: DatasetVersion) -> dict[str, Any]:
    return {
        "id": version.pk,
        "name": version.dataset.name,
        "number": version.number,
        "content_hash": version.content_hash,
        "rows": version.rows,
    }


def needs(project: Project, user: User) -> list[Need]:
    """Evaluations and probes that failed lately, and adapters that nobody has evaluated; for people who can act."""
    if not access.may(user, Permission.EVALUATION_START, project):
        return []
    recent = timezone.now() - RECENT
    failed = evaluations(project).filter(state=JobState.FAILED, finished_at__gte=recent)
    found = [
        Need(f"Evaluation of {row} failed", row.get_absolute_url(), "failed", row.finished_at, "evaluation")  # type: ignore[arg-type]
        for row in failed[:10]
    ]
    probes = project.probes.filter(state=JobState.FAILED, finished_at__gte=recent)
    probes = probes.select_related("project", "adapter", "base").order_by("-pk")
    found += [
        Need(f"Probe of {row} failed", row.get_absolute_url(), "failed", row.finished_at, "evaluation")  # type: ignore[arg-type]
        for row in probes[:10]
    ]
    held = project.equivalences.filter(state=JobState.FAILED, finished_at__gte=recent)
    held = held.select_related("project", "derived__adapter", "golden__dataset").order_by("-pk")
    found += [
        Need(f"Evaluation of {row} failed", row.get_absolute_url(), "failed", row.finished_at, "evaluation")  # type: ignore[arg-type]
        for row in held[:10]
    ]
    new = adapters(project).filter(created_at__gte=recent, evaluations__isnull=True)
    address = reverse("evaluation-create", args=[project.slug])
    return found + [
        Need(f"{row} has not been evaluated", f"{address}?adapter={row.pk}", "waiting", row.created_at, "adapter")
        for row in new[:10]
    ]
