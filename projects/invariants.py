"""What must be true of the rows at every moment, whatever was killed: each with a name, a sentence and its query.

They are asked after every test under fire, every five minutes in production, and by `manage.py invariants`. Nothing is
mended here: a row that breaks one is named, so that a person can look.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from projects import jobs, leases
from projects.domain.states import OVER, JobState, Outcome
from projects.models import Attempt, AuditEvent, InvariantCheck, LedgerEntry

logger = logging.getLogger(__name__)
NAMED = 20  # rows that one check names of each invariant
SWEEPS = 2  # of the reconciler, which may pass before a lost lease counts as overlooked
NEWEST = 200  # whose files are looked for every five minutes; deep looks at all
KEPT_CHECKS = 100


@dataclass(frozen=True)
class Invariant:
    """`find(deep)` names the rows that break it; deep also reads what takes long, such as all bytes of files."""

    name: str
    sentence: str
    find: Callable[[bool], Iterable[str]]


@dataclass(frozen=True)
class Broken:
    """An invariant that does not hold, and rows that show it."""

    name: str
    sentence: str
    rows: list[str]


_known: dict[str, Invariant] = {}


def register(name: str, sentence: str, find: Callable[[bool], Iterable[str]]) -> None:
    _known[name] = Invariant(name, sentence, find)


def known() -> list[Invariant]:
    return list(_known.values())


def check(*, deep: bool = False) -> list[Broken]:
    """All invariants, each against one state of the database."""
    found = []
    for invariant in known():
        with one_moment():
            rows = [row for row, _ in zip(invariant.find(deep), range(NAMED), strict=False)]
        if rows:
            found.append(Broken(invariant.name, invariant.sentence, rows))
    return found


@contextmanager
def one_moment() -> Iterator[None]:
    """Two queries of one invariant see the same rows; nobody is kept from writing meanwhile."""
    if connection.in_atomic_block or connection.vendor != "postgresql":
        yield  # SQLite would lock everybody out; what looks broken between two of its queries is asked again
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def check_and_keep() -> InvariantCheck:
    """The periodic check. What is broken is asked twice, since a moment between two queries proves nothing."""
    began = timezone.now()
    broken = check()
    if broken:
        again = {one.name: set(one.rows) for one in check()}
        broken = [
            Broken(one.name, one.sentence, rows)
            for one in broken
            if (rows := [row for row in one.rows if row in again.get(one.name, set())])
        ]
    for one in broken:
        logger.error("invariant %s is broken: %s %s", one.name, one.sentence, "; ".join(one.rows))
    row = InvariantCheck.objects.create(
        began_at=began, seconds=(timezone.now() - began).total_seconds(), asked=len(_known), broken=as_json(broken)
    )
    old = InvariantCheck.objects.order_by("-pk").values_list("pk", flat=True)[KEPT_CHECKS : KEPT_CHECKS + 1]
    InvariantCheck.objects.filter(pk__lte=max(old, default=0)).delete()
    return row


def as_json(broken: Iterable[Broken]) -> list[dict[str, Any]]:
    return [{"name": one.name, "sentence": one.sentence, "rows": one.rows} for one in broken]


# Of all background work


def _models() -> Iterator[tuple[str, Any]]:
    return ((kind.label, kind.model) for kind in jobs.kinds())


def _named(label: str, rows: QuerySet[Any], what: str) -> Iterator[str]:
    return (f"{label} {pk}: {what}" for pk in rows.values_list("pk", flat=True)[:NAMED])


def _attempts_of(label: str, **conditions: Any) -> QuerySet[Attempt]:
    return Attempt.objects.filter(job_label=label, job_id=OuterRef("pk"), **conditions)


def leases_run(deep: bool) -> Iterator[str]:
    overdue = leases.database_time() - timedelta(seconds=SWEEPS * settings.RECONCILE_SECONDS)
    for label, model in _models():
        running = model.objects.filter(state=JobState.RUNNING)
        yield from _named(label, running.filter(lease_until__lt=overdue), "its lease ran out and nobody gave it back")
        yield from _named(label, running.filter(lease_until=None), "it runs without a lease")


def only_the_running_hold_leases(deep: bool) -> Iterator[str]:
    for label, model in _models():
        rows = model.objects.exclude(state=JobState.RUNNING).filter(lease_until__isnull=False)
        yield from _named(label, rows, "it does not run and holds a lease")


def ends_have_a_time(deep: bool) -> Iterator[str]:
    for label, model in _models():
        yield from _named(
            label, model.objects.filter(state__in=OVER, finished_at=None), "it is over and nobody knows when"
        )
        yield from _named(label, model.objects.filter(state=JobState.QUEUED, queued_at=None), "it waits since no time")


def running_is_one_open_attempt(deep: bool) -> Iterator[str]:
    for label, model in _models():
        own = _attempts_of(label, fence=OuterRef("fence"), ended_at=None)
        yield from _named(
            label, model.objects.filter(~Exists(own), state=JobState.RUNNING), "it runs without an open attempt"
        )
        open_ones = _attempts_of(label, ended_at=None)
        others = model.objects.exclude(state=JobState.RUNNING).filter(Exists(open_ones))
        yield from _named(label, others, "it does not run and has an open attempt")


def claims_are_attempts(deep: bool) -> Iterator[str]:
    for label, model in _models():
        claims = dict(model.objects.filter(fence__gt=0).values_list("pk", "fence"))
        counted = Attempt.objects.filter(job_label=label, job_id__in=model.objects.values("pk")).values("job_id")
        for row in counted.annotate(how_many=Count("pk"), fences=Count("fence", distinct=True)):
            if (row["how_many"], row["fences"]) != (claims.pop(row["job_id"], 0),) * 2:
                yield f"{label} {row['job_id']}: its attempts are not its claims"
        yield from (f"{label} {pk}: it was claimed {fence} times and has no attempt" for pk, fence in claims.items())


def success_is_one_attempt(deep: bool) -> Iterator[str]:
    won = Attempt.objects.filter(outcome=Outcome.SUCCEEDED).values("job_label", "job_id")
    for row in won.annotate(how_many=Count("pk")).filter(how_many__gt=1):
        yield f"{row['job_label']} {row['job_id']}: {row['how_many']} attempts succeeded"
    for label, model in _models():
        last = _attempts_of(label, fence=OuterRef("fence"), outcome=Outcome.SUCCEEDED)
        rows = model.objects.filter(~Exists(last), state=JobState.SUCCEEDED)
        yield from _named(label, rows, "it succeeded and its last attempt did not")
        yield from _named(
            label,
            model.objects.filter(Exists(last)).exclude(state=JobState.SUCCEEDED),
            "its attempt succeeded, it did not",
        )


def attempts_are_paid_once(deep: bool) -> Iterator[str]:
    line = LedgerEntry.objects.filter(attempt=OuterRef("pk"))
    for attempt in Attempt.objects.filter(~Exists(line), ended_at__isnull=False)[:NAMED]:
        yield f"{attempt}: it has ended and is in no ledger line"
    for attempt in Attempt.objects.filter(Exists(line), ended_at=None)[:NAMED]:
        yield f"{attempt}: it goes on and is in the ledger"


def ledger_is_usage(deep: bool) -> Iterator[str]:
    other = ~Q(started_at=F("attempt__started_at"), outcome=F("attempt__outcome"))
    other |= Q(ended_at__lt=F("attempt__ended_at"))  # a lost worker held its device until that was found out
    for entry in LedgerEntry.objects.filter(other, attempt__isnull=False)[:NAMED]:
        yield f"ledger line {entry.pk}: it says other times or another end than its attempt"


def ends_are_told_once(deep: bool) -> Iterator[str]:
    recent = {} if deep else {"at__gt": timezone.now() - timedelta(days=1)}
    for _, model in _models():
        action, prefix = f"{model._meta.model_name}.{JobState.SUCCEEDED}", f"{model._meta.label_lower}:"
        told = AuditEvent.objects.filter(action=action, target__startswith=prefix, **recent).values("target")
        for row in told.annotate(how_many=Count("pk")).filter(how_many__gt=1)[:NAMED]:
            yield f"{row['target']}: the audit log says {row['how_many']} times that it succeeded"


register("leases_run", "Nothing that runs has a lease that ran out more than two sweeps ago.", leases_run)
register("leases_end", "Only what runs holds a lease.", only_the_running_hold_leases)
register("times", "What is over has an end, and what waits a time since when.", ends_have_a_time)
register(
    "open_attempts",
    "What runs has one open attempt, of its fence, and nothing else has one.",
    running_is_one_open_attempt,
)
register("claims", "Every claim of a job is one attempt with a fence of its own.", claims_are_attempts)
register("one_success", "A job that succeeded did so in its last attempt and in no other.", success_is_one_attempt)
register("paid_once", "Every attempt that has ended is in the ledger, and none that goes on.", attempts_are_paid_once)
register(
    "ledger_is_usage",
    "A ledger line has the times and the outcome of its attempt, and no shorter a time.",
    ledger_is_usage,
)
register("told_once", "The audit log says once that something succeeded.", ends_are_told_once)
