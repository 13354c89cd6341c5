"""What was spent, on what, and what came of it. Lines are added, never changed."""

from django.db import models
from django.db.models import Q

from projects.domain.errors import Refused
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


class LedgerEntry(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="ledger")
    cause = models.CharField(max_length=20, choices=CAUSES)
    outcome = models.CharField(max_length=20)
    subject_kind = models.CharField(max_length=60)
    subject_id = models.BigIntegerField()
    subject_label = models.CharField(max_length=200)
    attempt = models.OneToOneField(Attempt, models.PROTECT, null=True, related_name="ledger_entry")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    quantity = models.DecimalField(max_digits=14, decimal_places=6)
    unit = models.CharField(max_length=20)
    unit_price = models.DecimalField(max_digits=12, decimal_places=4)
    amount = models.DecimalField(max_digits=14, decimal_places=6)
    currency = models.CharField(max_length=3)
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-ended_at"]),
            models.Index(fields=["subject_kind", "subject_id"]),
        ]
        constraints = [
            models.CheckConstraint(name="time_runs_forward", condition=Q(ended_at__gte=models.F("started_at"))),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} for {self.subject_label}"

    def save(self, *args, **kwargs) -> None:
        if self.pk is not None:
            raise Refused("A ledger line is never changed; book a correction.", code="ledger_is_append_only")
        super().save(*args, **kwargs)
