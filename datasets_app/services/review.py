"""What people may do in the queue: take rows, look at them, decide, take a decision back."""

import hashlib
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from datasets_app.domain import reviewing
from datasets_app.domain.purposes import Kind
from datasets_app.domain.reviewing import Verdict
from datasets_app.models import ReviewDecision, ReviewItem, ReviewRound
from datasets_app.selectors import review as reads
from datasets_app.services.review_time import book_full_hours
from projects import leases
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.models import User
from projects.transitions import record


@requires(Permission.DATASET_REVIEW)
def take_items(
    review: ReviewRound,
    *,
    by: User,
    number: int = reviewing.AHEAD,
    having: Collection[int] = (),
    skipped: bool = False,
) -> list[ReviewItem]:
    """The next rows for this person, held for ten minutes so that nobody else gets them.

    `having` are items that the page has already. With `skipped`, rows the person passed over come again.
    """
    refuse_unless_open(review)
    taken: list[ReviewItem] = []
    while len(taken) < number:
        now = leases.database_time()
        without = [*having, *(item.pk for item in taken)]
        waiting = list(_waiting(review, by, now, without, skipped)[: number - len(taken)])
        taken += [item for item in waiting if _hold(item, by, now)]
        if not waiting and not lay_stretch(review):
            break
    return taken


def _waiting(review: ReviewRound, by: User, now: datetime, without: list[int], skipped: bool) -> QuerySet[ReviewItem]:
    """What may be given to this person next: their own share, then, once all of it is laid out, what is nobody's."""
    mine = ReviewDecision.objects.filter(item=OuterRef("pk"), reviewer=by)
    seen = mine.exclude(verdict=Verdict.SKIP.value) if skipped else mine
    free = Q(held_by=None) | Q(held_by=by) | Q(held_until__lt=now)
    items = (
        review.items.filter(free, ~Exists(seen), decided__lt=F("needs"))
        .exclude(pk__in=without)
        .select_related("round__project", "round__version__dataset__project")
        .order_by("position")
    )
    if by.pk not in review.people:
        return items.filter(assigned_to=None)
    own = items.filter(assigned_to=by)
    if own.exists() or review.laid < review.planned:
        return own
    return items.filter(assigned_to=None)


def _hold(item: ReviewItem, by: User, now: datetime) -> bool:
    """One UPDATE that only one of several rivals can win."""
    changes = {"held_by": by, "held_until": now + reviewing.HOLD, "seen_at": None}
    if item.held_by_id != by.pk:
        changes["seen_seconds"] = 0.0
    free = Q(held_by=None) | Q(held_by=by) | Q(held_until__lt=now)
    won = ReviewItem.objects.filter(free, pk=item.pk, decided=item.decided, decided__lt=F("needs")).update(**changes)
    for name, value in changes.items():
        setattr(item, name, value)
    return bool(won)


@transaction.atomic
def lay_stretch(review: ReviewRound) -> bool:
    """Lay out the next items, if there are more; of two who try at once one does it and the other sees its work."""
    start, stop = review.laid, min(review.planned, review.laid + reviewing.STRETCH)
    if start >= review.planned:
        return False
    if ReviewRound.objects.filter(pk=review.pk, laid=start).update(laid=stop):
        rows = reads.planned_rows(review)[start:stop].tolist()
        twice = reviewing.doubled(review.planned, review.double_share, review.seed)[start:stop]
        people = review.people
        ReviewItem.objects.bulk_create(
            (
                ReviewItem(
                    round=review,
                    position=at,
                    row=row,
                    needs=2 if double else 1,
                    assigned_to_id=people[at % len(people)] if people else None,
                )
                for at, (row, double) in enumerate(zip(rows, twice, strict=True), start)
            ),
            batch_size=1000,
        )
    review.refresh_from_db(fields=["laid"])
    return True


@requires(Permission.DATASET_REVIEW)
@transaction.atomic
def show_item(item: ReviewItem, *, by: User) -> list[int]:
    """A sign of life: this is the row on the screen. What the person holds in the round is held on, and named."""
    refuse_unless_open(item.round)
    return _mark_shown(item.round, by, item.pk, leases.database_time())


def _mark_shown(review: ReviewRound, by: User, shown: int | None, now: datetime) -> list[int]:
    held = review.items.select_for_update().filter(held_by=by, decided__lt=F("needs"))
    held.update(held_until=now + reviewing.HOLD)
    for item in held.filter(Q(seen_at__isnull=False) | Q(pk=shown)):
        if item.seen_at is not None:
            item.seen_seconds = reviewing.looked(now=now, held_since=now, seen_at=item.seen_at, seen=item.seen_seconds)
        item.seen_at = now if item.pk == shown else None
        item.save(update_fields=["seen_seconds", "seen_at"])
    return list(held.values_list("pk", flat=True))


@requires(Permission.DATASET_REVIEW)
@transaction.atomic
def decide_item(
    item: ReviewItem,
    *,
    by: User,
    verdict: str,
    answer: str = "",
    reason: str = "",
    comment: str = "",
    claimed: float | None = None,
    showing: int | None = None,
) -> ReviewDecision:
    """Say what this row is worth. The last word of a person counts; saying the same again changes nothing.

    `claimed` are the seconds that the page has measured, used where the server saw no sign of life; `showing` is the
    item that the person looks at now.
    """
    said = read_decision(verdict, answer, reason, comment)
    refuse_swap(item, verdict)
    review = ReviewRound.objects.select_for_update().get(pk=item.round_id)
    refuse_unless_open(review)
    item = ReviewItem.objects.select_for_update().get(pk=item.pk)
    now = leases.database_time()
    old = item.decisions.filter(reviewer=by).first()
    if old is None or {name: getattr(old, name) for name in said} != said:
        seconds = _seconds(item, by, old, now, claimed)
        old = _write(item, by, old, said, seconds)
        _release(review, item, by, said["verdict"])
    if showing is not None:
        _mark_shown(review, by, showing, now)
    book_full_hours(review, by)
    return old


def read_decision(verdict: str, answer: str, reason: str, comment: str) -> dict[str, str]:
    """The parts of a decision, checked: a fix has an answer, a rejection a reason."""
    if verdict not in list(Verdict):
        raise Invalid(f"A verdict is one of {', '.join(Verdict)}.", code="unknown_verdict", field="verdict")
    reason, comment = " ".join(reason.split()), comment.strip()
    if len(reason) > 300 or len(comment) > 4000:
        raise Invalid("A reason has at most 300 characters, a comment 4,000.", code="too_long", field="reason")
    if verdict == Verdict.REJECT and not reason:
        raise Invalid("Say why the row is rejected.", code="reason_missing", field="reason")
    if verdict != Verdict.FIX:
        return {"verdict": verdict, "answer": "", "reason": reason, "comment": comment}
    if not answer.strip():
        raise Invalid("Write the answer as it should be, or reject the row.", code="answer_missing", field="answer")
    if len(answer) > reviewing.LONGEST_ANSWER or "\x00" in answer:
        raise Invalid("An answer has at most 200,000 characters, and no zero byte.", code="bad_answer", field="answer")
    return {"verdict": verdict, "answer": answer.replace("\r\n", "\n"), "reason": reason, "comment": comment}


def refuse_swap(item: ReviewItem, verdict: str) -> None:
    if verdict == Verdict.SWAP and item.round.version.kind != Kind.PREFERENCE:
        raise Invalid("Only a preference pair can be turned round.", code="not_a_pair", field="verdict")


def _seconds(item: ReviewItem, by: User, old: ReviewDecision | None, now: datetime, claimed: float | None) -> float:
    if item.held_by_id == by.pk and item.held_until is not None:
        since = item.held_until - reviewing.HOLD
        return reviewing.looked(
            now=now, held_since=since, seen_at=item.seen_at, seen=item.seen_seconds, claimed=claimed
        )
    since = old.decided_at if old else now
    return reviewing.looked(now=now, held_since=since, seen_at=None, claimed=claimed)


def _write(
    item: ReviewItem, by: User, old: ReviewDecision | None, said: dict[str, Any], seconds: float
) -> ReviewDecision:
    """Keep the decision, with the time of an earlier one that is not in the ledger yet; the audit log keeps both."""
    if old is None:
        old = ReviewDecision.objects.create(item=item, reviewer=by, seconds=seconds, **said)
    else:
        for name, value in said.items():
            setattr(old, name, value)
        old.seconds, old.booked = (seconds if old.booked else old.seconds + seconds), False
        old.save()
    digest = hashlib.sha256(said["answer"].encode("utf-8", "surrogatepass")).hexdigest() if said["answer"] else ""
    told = {name: said[name] for name in ("verdict", "comment") if said[name]}
    record(
        item, "reviewitem.decided", actor=by.email, reason=said["reason"], index=item.row, seconds=round(seconds, 1),
        **told, **({"answer_sha256": digest} if digest else {}),
    )  # fmt: skip
    return old


def _release(review: ReviewRound, item: ReviewItem, by: User, verdict: str) -> None:
    """Count the looks, let go of the item, and pass on what still needs somebody else."""
    item.decided = item.decisions.exclude(verdict=Verdict.SKIP.value).count()
    if item.held_by_id in {by.pk, None} or item.decided >= item.needs:
        item.held_by = item.held_until = item.seen_at = None
        item.seen_seconds = 0.0
    if item.decided < item.needs and item.assigned_to_id == by.pk:
        item.assigned_to_id = _next_person(review, item, by) if verdict != Verdict.SKIP else None
    item.save()


def _next_person(review: ReviewRound, item: ReviewItem, by: User) -> int | None:
    """Who takes the second look: the next in turn who has not decided yet."""
    if by.pk not in review.people:
        return None
    at = review.people.index(by.pk)
    done = set(item.decisions.values_list("reviewer", flat=True))
    return next((pk for pk in review.people[at + 1 :] + review.people[:at] if pk not in done), None)


@requires(Permission.DATASET_REVIEW)
@transaction.atomic
def undo_decision(item: ReviewItem, *, by: User) -> bool:
    """Take one's own decision back and look at the row again; False when there was none."""
    review = ReviewRound.objects.select_for_update().get(pk=item.round_id)
    refuse_unless_open(review)
    item = ReviewItem.objects.select_for_update().get(pk=item.pk)
    decision = item.decisions.filter(reviewer=by).first()
    if decision is None:
        return False
    record(item, "reviewitem.taken_back", actor=by.email, index=item.row, verdict=decision.verdict)
    now = leases.database_time()
    if item.held_by_id in {by.pk, None}:
        item.held_by, item.held_until, item.seen_at = by, now + reviewing.HOLD, now
        item.seen_seconds = 0.0 if decision.booked else decision.seconds
    if review.people and item.assigned_to_id is None and by.pk in review.people:
        item.assigned_to = by
    decision.delete()
    item.decided = item.decisions.exclude(verdict=Verdict.SKIP.value).count()
    item.save()
    return True


def refuse_unless_open(review: ReviewRound) -> None:
    if not review.is_open:
        raise Refused(
            f"“{review}” is closed: nothing is decided in it any more. Ask whoever closed it to reopen it.",
            code="round_closed",
        )
