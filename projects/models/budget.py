"""Money that is set aside for work, and what owners are asked when there is not enough of it."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from projects.domain.budget import REQUEST, RequestState
from projects.domain.states import JobState
from projects.models.project import Project

HOLD_STATES = [("open", "Held"), ("released", "Released")]
REQUEST_STATES = [(state.value, state.value.title()) for state in RequestState]


def _amount(**options: object) -> models.DecimalField:
    return models.DecimalField(max_digits=14, decimal_places=6, **options)  # type: ignore[arg-type]


class BudgetRequest(models.Model):
    """Somebody asks the owners for a yes to work that goes beyond the month's budget, or whose cost is not known."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="budget_requests")
    job_label = models.CharField(max_length=60)
    job_id = models.BigIntegerField()
    job_text = models.CharField(max_length=200)
    came_from = models.CharField(max_length=20, help_text="The job's state before; a no brings it back there.")
    state = models.CharField(max_length=20, choices=REQUEST_STATES, default=RequestState.ASKED.value)
    amount = _amount(null=True, help_text="P90 of what it may cost; empty when that cannot be projected.")
    over_by = _amount(null=True)
    budget = models.DecimalField(max_digits=12, decimal_places=2, help_text="Of the month, when it was asked.")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    reason = models.TextField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    answer = models.TextField(blank=True)

    machine = REQUEST

    class Meta:
        indexes = [models.Index(fields=["project", "state", "-id"])]
        constraints = [
            models.UniqueConstraint(
                name="one_open_budget_request_per_job",
                fields=["job_label", "job_id"],
                condition=Q(state=RequestState.ASKED.value),
            ),
            models.CheckConstraint(
                name="a_decided_budget_request_says_by_whom",
                condition=Q(state=RequestState.ASKED.value, decided_by=None, decided_at=None)
                | (~Q(state=RequestState.ASKED.value) & Q(decided_by__isnull=False, decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="a_declined_budget_request_says_why",
                condition=~Q(state=RequestState.DECLINED.value) | ~Q(answer=""),
            ),
        ]

    def __str__(self) -> str:
        return f"budget request for {self.job_text}"

    def get_absolute_url(self) -> str:
        return reverse("budget-request", args=[self.project.slug, self.pk])

    @property
    def is_open(self) -> bool:
        return self.state == RequestState.ASKED

    @property
    def is_own(self) -> bool:
        """Approved by whoever asked: allowed, since a project may have one owner only, and shown wherever it counts."""
        return self.state == RequestState.APPROVED and self.decided_by_id == self.asked_by_id

    @property
    def is_retry(self) -> bool:
        return self.came_from != JobState.DRAFT


class Hold(models.Model):
    """Money set aside for one job from its start to its end; what its attempts are booked with comes off it."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="holds")
    job_label = models.CharField(max_length=60)
    job_id = models.BigIntegerField()
    job_text = models.CharField(max_length=200)
    month = models.DateField(help_text="The month it was opened in. While it is open it counts in the current one.")
    projected = _amount(null=True, help_text="What was said at the start: P90. Empty when nothing could be said.")
    amount = _amount(help_text="What is held in all; grows when the job costs more than was said.")
    spent = _amount(default=0, help_text="What of it has been booked meanwhile.")
    state = models.CharField(max_length=10, choices=HOLD_STATES, default="open")
    reason = models.CharField(max_length=20, blank=True, help_text="Why it was released: how the job ended.")
    request = models.ForeignKey(BudgetRequest, models.PROTECT, null=True, related_name="holds")
    opened_at = models.DateTimeField()
    exceeded_at = models.DateTimeField(null=True, help_text="When the job began to cost more than was said.")
    released_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "state"]),
            models.Index(fields=["job_label", "job_id", "-id"]),
        ]
        constraints = [
            models.UniqueConstraint(
                name="one_open_hold_per_job", fields=["job_label", "job_id"], condition=Q(state="open")
            ),
            models.CheckConstraint(name="a_hold_is_not_negative", condition=Q(amount__gte=0, spent__gte=0)),
            models.CheckConstraint(
                name="a_released_hold_says_why_and_when",
                condition=Q(state="open", reason="", released_at=None)
                | (Q(state="released", released_at__isnull=False) & ~Q(reason="")),
            ),
            models.CheckConstraint(
                name="a_hold_is_released_after_it_was_opened",
                condition=Q(released_at=None) | Q(released_at__gte=F("opened_at")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} held for {self.job_text}"

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def left(self):
        """What of it is still held."""
        return max(self.amount - self.spent, 0) if self.is_open else 0
