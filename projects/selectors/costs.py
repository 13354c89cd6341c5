"""Sums over the ledger: what was spent, on what, and what it bought."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.db.models import Count, F, Max, Q, Sum
from django.db.models.functions import TruncDate, TruncMonth

from projects import contributions
from projects.domain import budget, losses, states
from projects.domain.states import Outcome
from projects.models import LedgerEntry, Project, User
from projects.models.ledger import CAUSES
from projects.selectors.ledger import subject_models, subject_urls

ZERO = Decimal(0)
WITHOUT_RESULT = sorted(outcome.value for outcome in states.WITHOUT_RESULT)
CAUSE_WORDS = dict(CAUSES)


@dataclass(frozen=True)
class Spending:
    """Sums of one project's ledger, in its currency."""

    month: Decimal
    total: Decimal
    without_result: Decimal
    month_without_result: Decimal
    trainings: int
    training_total: Decimal
    lines: int
    budget: Decimal | None

    @property
    def budget_share(self) -> Decimal | None:
        return self.month / self.budget if self.budget else None

    @property
    def share_without_result(self) -> Decimal | None:
        return self.without_result / self.total if self.total else None

    @property
    def per_training(self) -> Decimal | None:
        """What a finished training costs all in: with the failed and cancelled ones that led to it."""
        return self.training_total / self.trainings if self.trainings else None


month_start = budget.month_of


def spending(project: Project, now: datetime) -> Spending:
    this_month, wasted = Q(ended_at__gte=month_start(now)), Q(outcome__in=WITHOUT_RESULT)
    training = Q(cause="training", subject_kind="training.run")
    sums = project.ledger.aggregate(
        month=Sum("amount", filter=this_month, default=ZERO),
        total=Sum("amount", default=ZERO),
        without_result=Sum("amount", filter=wasted, default=ZERO),
        month_without_result=Sum("amount", filter=this_month & wasted, default=ZERO),
        trainings=Count("subject_id", filter=training & Q(outcome=Outcome.SUCCEEDED.value), distinct=True),
        training_total=Sum("amount", filter=training, default=ZERO),
        lines=Count("pk"),
    )
    return Spending(budget=project.monthly_budget, **sums)


def daily_costs(project: Project, since: date) -> list[tuple[date, str, Decimal]]:
    """(day, cause, amount) of each day with costs, oldest first."""
    rows = (
        project.ledger.filter(ended_at__date__gte=since)
        .annotate(day=TruncDate("ended_at"))
        .values("day", "cause")
        .annotate(sum=Sum("amount"))
        .order_by("day", "cause")
    )
    return [(row["day"], row["cause"], row["sum"]) for row in rows]


def monthly_costs(project: Project, now: datetime, months: int) -> list[tuple[date, Decimal, Decimal]]:
    """(first day, spent, of that without a result) of each of the last months up to now, oldest first."""
    first = month_start(now)
    starts = [first]
    for _ in range(months - 1):
        starts.append(month_start(starts[-1] - timedelta(days=1)))
    rows = (
        project.ledger.filter(ended_at__gte=starts[-1])
        .annotate(month=TruncMonth("ended_at", tzinfo=UTC))
        .values("month")
        .annotate(sum=Sum("amount"), lost=Sum("amount", filter=Q(outcome__in=WITHOUT_RESULT), default=ZERO))
    )
    known = {row["month"].date(): (row["sum"], row["lost"]) for row in rows}
    nothing = (ZERO, ZERO)
    found = [(start.date(), *known.get(start.date(), nothing)) for start in reversed(starts)]
    while len(found) > 1 and found[0][0] not in known:
        found.pop(0)  # a young project has no months before its first
    return found


def costs_by_outcome(project: Project, since: date) -> list[tuple[str, str, Decimal]]:
    """(cause, outcome, amount), the dearest first."""
    rows = (
        project.ledger.filter(ended_at__date__gte=since)
        .values("cause", "outcome")
        .annotate(sum=Sum("amount"))
        .order_by("-sum", "cause", "outcome")
    )
    return [(row["cause"], row["outcome"], row["sum"]) for row in rows]


@dataclass(frozen=True)
class Lost:
    """Money without a result, by the cause of its loss."""

    loss: str
    word: str
    hint: str
    amount: Decimal
    lines: int


def losses_by_cause(project: Project, since: date) -> list[Lost]:
    rows = (
        project.ledger.filter(ended_at__date__gte=since)
        .exclude(loss_cause="")
        .values("loss_cause")
        .annotate(sum=Sum("amount"), lines=Count("pk"))
        .order_by("-sum", "loss_cause")
    )
    return [
        Lost(
            row["loss_cause"], losses.words(row["loss_cause"]), losses.hint(row["loss_cause"]), row["sum"], row["lines"]
        )
        for row in rows
    ]


@dataclass(frozen=True)
class Work:
    """One kind of work: its cost, and what of it paid for a device that was held and did not work."""

    kind: str
    word: str
    cause: str
    lines: int
    amount: Decimal
    idle: Decimal
    without_result: Decimal


def costs_by_work(project: Project, since: date) -> list[Work]:
    rows = list(
        project.ledger.filter(ended_at__date__gte=since)
        .values("subject_kind", "cause")
        .annotate(
            sum=Sum("amount"),
            idle=Sum(F("idle_quantity") * F("unit_price"), default=ZERO),
            lost=Sum("amount", filter=Q(outcome__in=WITHOUT_RESULT), default=ZERO),
            lines=Count("pk", filter=Q(corrects=None)),
        )
        .order_by("-sum", "subject_kind")
    )
    models = subject_models(row["subject_kind"] for row in rows)
    return [
        Work(
            kind=row["subject_kind"],
            word=kind_word(row["subject_kind"], models),
            cause=CAUSE_WORDS.get(row["cause"], row["cause"]),
            lines=row["lines"],
            amount=row["sum"],
            idle=row["idle"],
            without_result=row["lost"],
        )
        for row in rows
    ]


def kind_word(kind: str, models: dict[str, type]) -> str:
    model = models.get(kind)
    return str(model._meta.verbose_name).capitalize() if model else kind  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Hours:
    """A person's time."""

    person: User | None
    hours: Decimal
    amount: Decimal

    @property
    def seconds(self) -> float:
        return float(self.hours) * 3600


def people_hours(project: Project, since: date) -> list[Hours]:
    """Whose time cost what, the most first; what was booked before names were kept comes under nobody."""
    rows = list(
        project.ledger.filter(ended_at__date__gte=since, unit="h")
        .values("person")
        .annotate(hours=Sum("quantity"), sum=Sum("amount"))
        .order_by("-sum", "person")
    )
    people = User.objects.in_bulk([row["person"] for row in rows if row["person"]])
    return [Hours(people.get(row["person"]), row["hours"], row["sum"]) for row in rows]


@dataclass(frozen=True)
class Subject:
    """What money went into: a run, an evaluation, an upload."""

    kind: str
    pk: int
    label: str
    url: str
    cause: str
    amount: Decimal
    without_result: Decimal
    attempts: int
    succeeded: bool
    last: datetime


def dearest_subjects(project: Project, since: date, limit: int = 10) -> list[Subject]:
    """The subjects that cost most, with what of it brought nothing."""
    rows = list(
        project.ledger.filter(ended_at__date__gte=since)
        .values("subject_kind", "subject_id")
        .annotate(
            cost=Sum("amount"),
            wasted=Sum("amount", filter=Q(outcome__in=WITHOUT_RESULT), default=ZERO),
            attempts=Count("pk", filter=Q(corrects=None)),
            successes=Count("pk", filter=~Q(outcome__in=WITHOUT_RESULT)),
            label=Max("subject_label"),
            why=Max("cause"),
            last=Max("ended_at"),
        )
        .order_by("-cost", "-last")[:limit]
    )
    urls = subject_urls((row["subject_kind"], row["subject_id"]) for row in rows)
    return [
        Subject(
            kind=row["subject_kind"],
            pk=row["subject_id"],
            label=row["label"],
            url=urls.get((row["subject_kind"], row["subject_id"]), ""),
            cause=CAUSE_WORDS.get(row["why"], row["why"]),
            amount=row["cost"],
            without_result=row["wasted"],
            attempts=row["attempts"],
            succeeded=row["successes"] > 0,
            last=row["last"],
        )
        for row in rows
    ]


@dataclass(frozen=True)
class ProductCost:
    """What came out of the work, with all that was paid on the way to it."""

    product: contributions.Product
    own: Decimal
    on_the_way: Decimal

    @property
    def total(self) -> Decimal:
        return self.own + self.on_the_way


def product_costs(project: Project, limit: int = 10) -> list[ProductCost]:
    """The newest things that survived, each with its own cost and that of everything that failed on the way."""
    made = [product for read in contributions.products for product in read(project)]
    made = sorted(made, key=lambda product: product.at, reverse=True)[:limit]
    wanted: dict[str, set[int]] = {}
    for product in made:
        for kind, pk in (product.subject, *product.on_the_way):
            wanted.setdefault(kind, set()).add(pk)
    spent: dict[tuple[str, int], Decimal] = {}
    for kind, keys in wanted.items():
        rows = LedgerEntry.objects.filter(project=project, subject_kind=kind, subject_id__in=keys)
        for pk, amount in rows.values_list("subject_id").annotate(sum=Sum("amount")):
            spent[kind, pk] = amount
    return [
        ProductCost(
            product,
            spent.get(product.subject, ZERO),
            sum((spent.get(subject, ZERO) for subject in product.on_the_way), ZERO),
        )
        for product in made
    ]


def days_before(now: datetime, days: int) -> date:
    """First of the last `days` days, today included."""
    return (now - timedelta(days=days - 1)).date()
