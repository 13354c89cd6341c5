"""What people and deletion requests have said against a node of the lineage, and what was taken back."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.http import urlencode

from projects.domain.staleness import WORDS, Cause
from projects.models.project import Project

CAUSES = [(cause.value, WORDS[cause]) for cause in Cause]


class Withdrawal(models.Model):
    """A node, such as a base-model version, that nothing new may stand on; everything that does says so.

    The node is named and not referred to: kinds of nodes belong to the apps above.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="withdrawals")
    node = models.CharField(max_length=60)
    label = models.CharField(max_length=300)
    cause = models.CharField(max_length=20, choices=CAUSES)
    reason = models.TextField(max_length=2000)
    detail = models.JSONField(
        default=dict, help_text="Of erased rows: which, the builds without them, versions free of them."
    )
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)
    lifted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    lifted_at = models.DateTimeField(null=True)
    lifted_reason = models.TextField(blank=True, max_length=2000)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["project", "-id"])]
        constraints = [
            models.UniqueConstraint(
                name="one_standing_withdrawal_per_cause",
                fields=["project", "node", "cause"],
                condition=Q(lifted_at__isnull=True) & ~Q(cause=Cause.ERASED.value),
            ),
            models.CheckConstraint(name="a_withdrawal_says_why", condition=~Q(reason="")),
            models.CheckConstraint(
                name="lifted_by_and_at_together",
                condition=Q(lifted_by__isnull=True, lifted_at__isnull=True)
                | Q(lifted_by__isnull=False, lifted_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.get_cause_display()}"

    def get_absolute_url(self) -> str:
        return f"{reverse('lineage', args=[self.project.slug])}?{urlencode({'focus': self.node, 'node': self.node})}"

    @property
    def stands(self) -> bool:
        return self.lifted_at is None
