"""Background work that survives its worker: a row with a lease, a heartbeat and a fence.

The row is the truth and the broker's message only a wake-up. Whoever claims a row raises its fence; every later
write says which fence it holds, so a worker that was given up for dead cannot write over its successor.
"""

from django.db import models
from django.db.models import Q

from projects.domain.states import ACTIVE, JOB, OVER, JobState, Outcome
from projects.models.project import Project

STATES = [(state.value, state.value.title()) for state in JobState]


class LeasedJob(models.Model):
    state = models.CharField(max_length=20, choices=STATES, default=JobState.DRAFT.value)
    fence = models.BigIntegerField(default=0)
    owner = models.CharField(max_length=120, blank=True)
    lease_until = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    queued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    pause_requested_at = models.DateTimeField(null=True)
    place = models.CharField(max_length=60, blank=True, help_text="Where on its host it works, such as “gpu:0”.")
    attempt = models.PositiveIntegerField(default=0, help_text="How often a person asked for it.")
    infra_failures = models.PositiveSmallIntegerField(default=0, help_text="Workers lost in this attempt.")
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    error_detail = models.TextField(blank=True)
    progress = models.JSONField(default=dict)
    priority = models.SmallIntegerField(default=0)

    machine = JOB
    reads_base = False  # of a kind with a column `base`, whose engine compares all bytes of it before it works
    of_one_host = False  # of a kind with a column `host`: which alone may take it; empty for any
    takes_several = False  # of a kind with a column `devices`: how many places of one host it needs

    class Meta:
        abstract = True
        indexes = [models.Index(fields=["state", "-priority", "queued_at"], name="%(class)s_queue")]

    @property
    def is_over(self) -> bool:
        return JobState(self.state) in OVER

    @property
    def is_active(self) -> bool:
        return JobState(self.state) in ACTIVE

    @property
    def cards(self) -> int:
        """Places of one host that it holds while it runs."""
        return int(getattr(self, "devices", 1)) if self.takes_several else 1

    @property
    def job_label(self) -> str:
        return self._meta.label_lower


class Attempt(models.Model):
    """One claim of one job by one worker: when, where, how it ended. The ledger prices it."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="attempts")
    job_label = models.CharField(max_length=60)
    job_id = models.BigIntegerField()
    number = models.PositiveIntegerField(help_text="Among all claims of the job.")
    asked = models.PositiveIntegerField(default=1, help_text="Which attempt of a person it belongs to.")
    start = models.PositiveIntegerField(default=1, help_text="Which claim within that attempt it is.")
    fence = models.BigIntegerField()
    worker = models.CharField(max_length=120)
    device = models.CharField(max_length=40, default="cpu")
    device_name = models.CharField(max_length=120, blank=True)
    cards = models.PositiveSmallIntegerField(default=1, help_text="How many devices it held all the time.")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(
        max_length=20, blank=True, choices=[(outcome.value, outcome.value.title()) for outcome in Outcome]
    )
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    marks = models.JSONField(default=list, help_text="[phase, seconds since the start] of each change of phase.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job_label", "job_id", "fence"], name="one_attempt_per_fence"),
            models.CheckConstraint(
                name="an_ended_attempt_says_how",
                condition=Q(ended_at=None, outcome="") | (Q(ended_at__isnull=False) & ~Q(outcome="")),
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.job_label} {self.job_id}"

    def device_seconds(self, seconds: float) -> float:
        """What so many seconds are on all devices that it holds: what is paid for."""
        return seconds * self.cards

    @property
    def seconds(self) -> float | None:
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else None
