"""People's minutes in the ledger: each second of looking once, at the project's price of an hour."""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet, Sum

from datasets_app.models import ReviewDecision, ReviewRound
from projects import booking
from projects.domain import money
from projects.domain.states import Outcome
from projects.models import User

HOUR = 3600.0


def book_full_hours(review: ReviewRound, person: User) -> None:
    """Once a person has an hour that is not in the ledger, it goes there; small change waits."""
    waiting = _not_booked(review, person).aggregate(sum=Sum("seconds", default=0.0))["sum"]
    if waiting >= HOUR:
        _book(review, person)


@transaction.atomic
def book_round(review: ReviewRound) -> None:
    """Everybody's remaining minutes; doing it twice books them once."""
    ReviewRound.objects.select_for_update().get(pk=review.pk)  # one at a time
    waiting = ReviewDecision.objects.filter(item__round=review, booked=False)
    people = User.objects.filter(pk__in=waiting.order_by().values("reviewer").distinct())
    for person in people.order_by("pk"):
        _book(review, person)


def _not_booked(review: ReviewRound, person: User) -> QuerySet[ReviewDecision]:
    return ReviewDecision.objects.filter(item__round=review, reviewer=person, booked=False)


@transaction.atomic
def _book(review: ReviewRound, person: User) -> None:
    """One line of the ledger for these decisions, which are marked in the same transaction."""
    lines = list(_not_booked(review, person).select_for_update().values_list("pk", "seconds", "decided_at"))
    seconds = sum(spent for _, spent, _ in lines)
    marked = 0
    for at in range(0, len(lines), 500):
        keys = [pk for pk, _, _ in lines[at : at + 500]]
        marked += ReviewDecision.objects.filter(pk__in=keys, booked=False).update(booked=True)
    if not marked or seconds <= 0:
        return
    project = review.project
    booking.book(
        project,
        cause="data",
        subject_kind=review._meta.label_lower,
        subject_id=review.pk,
        subject_label=str(review),
        outcome=Outcome.SUCCEEDED.value,
        started_at=min(decided - timedelta(seconds=spent) for _, spent, decided in lines),
        ended_at=max(decided for *_, decided in lines),
        quantity=money.hours(seconds),
        unit="h",
        unit_price=project.people_hour_price,
        person=person,
        note=f"Looking at {len(lines)} rows: {person}",
    )
