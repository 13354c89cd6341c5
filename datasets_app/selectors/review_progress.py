"""How far a review has come: by person, in time and money, and what has become of its rows."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import groupby

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Least, TruncDate

from datasets_app.domain import reviewing
from datasets_app.domain.agreement import Agreement, agreement
from datasets_app.domain.purposes import Kind
from datasets_app.domain.reviewing import CHANGING, COUNTED, DISPUTED, UNTOUCHED, Look, Speed
from datasets_app.models import ReviewDecision, ReviewItem, ReviewRound, ReviewRuling
from datasets_app.selectors.review import waiting_for
from projects.domain import money
from projects.models import LedgerEntry, User

TIMED = 2000  # the latest looks of a person that speed is told by
VERDICTS = tuple(verdict.value for verdict in COUNTED)
CHANGES = tuple(verdict.value for verdict in CHANGING)
ZERO = Decimal(0)


@dataclass(frozen=True)
class Person:
    user: User
    counts: dict[str, int]
    seconds: float
    speed: Speed | None
    left: int | None  # None when rows go to whoever comes first

    @property
    def done(self) -> int:
        return sum(self.counts.get(verdict, 0) for verdict in VERDICTS)

    @property
    def mended(self) -> int:
        return self.counts.get("fix", 0) + self.counts.get("swap", 0)


@dataclass(frozen=True)
class Progress:
    """Rows and looks planned and done, who did them, what it took and what became of the rows."""

    planned: int
    rows_done: int
    looks: int
    looks_done: int
    people: list[Person]
    became: dict[str, int]
    seconds: float
    cost: Decimal
    speed: Speed | None
    days: list[tuple[date, str, int]] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return self.rows_done >= self.planned

    @property
    def seconds_left(self) -> float | None:
        """Of people's time, at the pace so far."""
        return (self.looks - self.looks_done) * self.speed.mean if self.speed else None


def progress(review: ReviewRound) -> Progress:
    said = _decisions(review)
    items = review.items.aggregate(
        rows=Count("pk", filter=Q(decided__gte=F("needs"))),
        looks=Sum(Least("decided", "needs"), default=0),
    )
    people = _people(review, said)
    doubled = int(reviewing.doubled(review.planned, review.double_share, review.seed).sum())
    seconds = sum(person.seconds for person in people)
    timed = _seconds(said)
    days = said.annotate(day=TruncDate("decided_at")).values("day", "verdict").annotate(n=Count("pk")).order_by("day")
    return Progress(
        planned=review.planned,
        rows_done=items["rows"],
        looks=review.planned + doubled,
        looks_done=items["looks"],
        people=people,
        became=became(review),
        seconds=seconds,
        cost=cost(review),
        speed=reviewing.speed(timed),
        days=[(row["day"], row["verdict"], row["n"]) for row in days],
    )


def undone(review: ReviewRound) -> bool:
    """Whether an item that is laid out still needs somebody."""
    return review.items.filter(decided__lt=F("needs")).exists()


def _decisions(review: ReviewRound) -> QuerySet[ReviewDecision]:
    return ReviewDecision.objects.filter(item__round=review)


def _seconds(said: QuerySet[ReviewDecision]) -> list[float]:
    latest = said.exclude(verdict="skip").order_by("-decided_at")
    return list(latest.values_list("seconds", flat=True)[:TIMED])


def _people(review: ReviewRound, said: QuerySet[ReviewDecision]) -> list[Person]:
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    spent: dict[int, float] = defaultdict(float)
    sums = said.order_by().values("reviewer", "verdict").annotate(n=Count("pk"), spent=Sum("seconds"))
    for row in sums:
        counts[row["reviewer"]][row["verdict"]] = row["n"]
        spent[row["reviewer"]] += row["spent"]
    users = User.objects.in_bulk({*counts, *review.people})
    people = [
        Person(
            user=user,
            counts=counts[user.pk],
            seconds=spent[user.pk],
            speed=reviewing.speed(_seconds(said.filter(reviewer=user))),
            left=waiting_for(review, user) if user.pk in review.people else None,
        )
        for user in users.values()
    ]
    return sorted(people, key=lambda person: (-person.done, str(person.user)))


def cost(review: ReviewRound) -> Decimal:
    """What looking has cost: the ledger's lines, and the time that is not there yet at today's price."""
    booked = LedgerEntry.objects.filter(
        project=review.project_id, subject_kind=review._meta.label_lower, subject_id=review.pk
    ).aggregate(sum=Sum("amount", default=ZERO))["sum"]
    waiting = _decisions(review).filter(booked=False).aggregate(sum=Sum("seconds", default=0.0))["sum"]
    return booked + money.amount(money.hours(waiting), review.project.people_hour_price)


def became(review: ReviewRound) -> dict[str, int]:
    """Rows by what becomes of them: accept, fix, swap, reject, disputed, untouched."""
    found: Counter[str] = Counter()
    alone = _decisions(review).filter(item__decided=1, item__ruling=None).exclude(verdict="skip")
    for row in alone.order_by().values("verdict").annotate(n=Count("pk")):
        found[row["verdict"]] += row["n"]
    ruled = ReviewRuling.objects.filter(item__round=review).order_by()
    for row in ruled.values("verdict").annotate(n=Count("pk")):
        found[row["verdict"]] += row["n"]
    for _, looks in _several(review):
        found[reviewing.settle(looks).verdict] += 1
    found[UNTOUCHED] = review.planned - sum(found[name] for name in (*VERDICTS, DISPUTED))
    return {name: found[name] for name in (*VERDICTS, DISPUTED, UNTOUCHED)}


def _several(review: ReviewRound) -> Iterator[tuple[int, list[Look]]]:
    """(item, looks in the order they came) of every item that several people decided and nobody ruled on."""
    said = (
        _decisions(review)
        .filter(item__decided__gt=1, item__ruling=None)
        .exclude(verdict="skip")
        .order_by("item", "pk")
        .values_list("item", "verdict", "answer", "reviewer")
    )
    for item, rows in groupby(said.iterator(), key=lambda row: row[0]):
        yield item, [Look(verdict, answer, reviewer) for _, verdict, answer, reviewer in rows]


def disputes(review: ReviewRound) -> list[int]:
    """Items about which people disagree and nobody has ruled, in the order of the round."""
    wanted = [item for item, looks in _several(review) if reviewing.settle(looks).verdict == DISPUTED]
    return list(ReviewItem.objects.filter(pk__in=wanted).order_by("position").values_list("pk", flat=True))


@dataclass(frozen=True)
class Pair:
    """Two people who looked at the same rows."""

    first: User
    second: User
    found: Agreement


def agreements(review: ReviewRound) -> tuple[Agreement, list[Pair]]:
    """Of all rows that several people decided, first look against second; and of each two people.

    Rulings come after the looks and change nothing about how far people agreed.
    """
    said = (
        _decisions(review)
        .filter(item__decided__gt=1)
        .exclude(verdict="skip")
        .order_by("item", "pk")
        .values_list("item", "verdict", "reviewer")
    )
    known = [name for name in VERDICTS if name != "swap" or review.version.kind == Kind.PREFERENCE]
    pairs, between = [], defaultdict(list)
    for _, rows in groupby(said.iterator(), key=lambda row: row[0]):
        looks = [(verdict, person) for _, verdict, person in rows]
        if len(looks) < 2:
            continue
        (first, one), (second, other) = looks[:2]
        pairs.append((first, second))
        if one < other:
            between[one, other].append((first, second))
        else:
            between[other, one].append((second, first))
    users = User.objects.in_bulk({pk for pair in between for pk in pair})
    each = [Pair(users[one], users[two], agreement(said, known)) for (one, two), said in between.items()]
    return agreement(pairs, known), sorted(each, key=lambda pair: -pair.found.pairs)


def verdict_of(item: ReviewItem) -> Look:
    """What becomes of one item as things stand."""
    looks = [Look(d.verdict, d.answer, d.reviewer_id) for d in item.decisions.order_by("pk")]
    ruling = ReviewRuling.objects.filter(item=item).first()
    return reviewing.settle(looks, Look(ruling.verdict, ruling.answer, ruling.by_id) if ruling else None)


def changes(review: ReviewRound) -> Iterator[tuple[int, Look]]:
    """(row, what becomes of it) for every row that is fixed, turned round or rejected, in no particular order."""
    ruled = ReviewRuling.objects.filter(item__round=review, verdict__in=CHANGES)
    for row, verdict, answer, by in ruled.values_list("item__row", "verdict", "answer", "by"):
        yield row, Look(verdict, answer, by)
    alone = _decisions(review).filter(item__decided=1, item__ruling=None, verdict__in=CHANGES)
    for row, verdict, answer, by in alone.values_list("item__row", "verdict", "answer", "reviewer").iterator():
        yield row, Look(verdict, answer, by)
    settled = {item: reviewing.settle(looks) for item, looks in _several(review)}
    wanted = {item: look for item, look in settled.items() if look.verdict in CHANGES}
    for pk, row in ReviewItem.objects.filter(round=review, decided__gt=1).values_list("pk", "row").iterator():
        if pk in wanted:
            yield row, wanted[pk]
