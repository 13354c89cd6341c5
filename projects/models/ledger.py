"""What was spent, on what, and what came of it. Lines are added, never changed."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from projects.domain.errors import Refused
from projects.domain.losses import WORDS
from projects.domain.states import WITHOUT_RESULT
from projects.models.jobs import Attempt
from projects.models.project import Project

CAUSES = [
    ("training", "Training"),
    ("rehearsal", "Rehearsal"),
    ("evaluation", "Evaluation"),
    ("data", "Data"),
    ("deployment", "Deployment"),
    ("people", "People"),
]
LOST = sorted(outcome.value for outcome in WITHOUT_RESULT)
LOSSES = [(loss.value, word) for loss, (word, _) in WORDS.items()]


def _never() -> NoReturn:
    raise Refused("A ledger line is never changed; book a correction.", code="ledger_is_append_only")


class LedgerQuerySet(models.QuerySet["LedgerEntry"]):
    def update(self, **changes: Any) -> NoReturn:
        _never()

    def delete(self) -> NoReturn:
        _never()


class LedgerEntry(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="ledger")
    cause = models.CharField(max_length=20, choices=CAUSES)
    outcome = models.CharField(max_length=20)
    loss_cause = models.CharField(max_length=20, choices=LOSSES, blank=True)
    subject_kind = models.CharField(max_length=60)
    subject_id = models.BigIntegerField()
    subject_label = models.CharField(max_length=200)
    attempt = models.OneToOneField(Attempt, models.PROTECT, null=True, related_name="ledger_entry")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", help_text="Whose time it was."
    )
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    quantity = models.DecimalField(max_digits=14, decimal_places=6)
    idle_quantity = models.DecimalField(
        max_digits=14, decimal_places=6, default=0, help_text="The part in which the device was held and did not work."
    )
    unit = models.CharField(max_length=20)
    unit_price = models.DecimalField(max_digits=12, decimal_places=4)
    amount = models.DecimalField(max_digits=14, decimal_places=6)
    currency = models.CharField(max_length=3)
    note = models.CharField(max_length=300, blank=True)
    corrects = models.ForeignKey("self", models.PROTECT, null=True, related_name="corrections")
    booked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", help_text="Who booked a correction."
    )
    reason = models.TextField(blank=True, help_text="Why a correction was booked.")
    created_at = models.DateTimeField(auto_now_add=True)

    # Migration 0009 adds a trigger that refuses UPDATE on the table itself.
    objects = LedgerQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["project", "-ended_at"]),
            models.Index(fields=["subject_kind", "subject_id"]),
        ]
        constraints = [
            models.CheckConstraint(name="time_runs_forward", condition=Q(ended_at__gte=F("started_at"))),
            models.CheckConstraint(
                name="only_corrections_take_money_back",
                condition=Q(corrects__isnull=False) | Q(amount__gte=0, quantity__gte=0),
            ),
            models.CheckConstraint(
                name="a_correction_says_by_whom_and_why",
                condition=Q(corrects=None, booked_by=None, reason="")
                | (Q(corrects__isnull=False, booked_by__isnull=False) & ~Q(reason="")),
            ),
            models.CheckConstraint(
                name="a_loss_has_a_cause",
                condition=(Q(outcome__in=LOST) & ~Q(loss_cause="")) | (~Q(outcome__in=LOST) & Q(loss_cause="")),
            ),
            models.CheckConstraint(
                name="idle_time_is_part_of_the_time",
                condition=Q(idle_quantity__gte=0, idle_quantity__lte=F("quantity")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} for {self.subject_label}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            _never()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        _never()

    @property
    def seconds(self) -> float:
        """Every quantity so far is in hours: of a card, of a host, of a person."""
        return float(self.quantity) * 3600

    @property
    def idle_seconds(self) -> float:
        return float(self.idle_quantity) * 3600

    @property
    def held(self) -> str:
        """What the hours were of: GPU, CPU; nothing for people's."""
        return self.unit.removesuffix("h").strip()
