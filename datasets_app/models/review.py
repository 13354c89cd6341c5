"""People who look at examples one by one: the queue, who said what, and how far it has come."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from datasets_app.domain.reviewing import ROUND
from datasets_app.models.builds import Build
from datasets_app.models.versions import DatasetVersion
from projects.models import Project


class ReviewRound(models.Model):
    """All examples of a version, or a sample of them, to be looked at by people.

    `planned` rows belong to it; items are laid out in stretches as the queue reaches them, `laid` of them so far.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"
        DISCARDED = "discarded", "Thrown away"

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    version = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="review_rounds")
    name = models.CharField(max_length=120)
    instructions = models.TextField(blank=True)
    # As domain.reviewing.Scope writes it; a search for a text keeps the "rows" it found.
    scope = models.JSONField(default=dict)
    seed = models.PositiveIntegerField(default=0)
    double_share = models.FloatField(default=0.0)  # share of the items that two people look at
    people = models.JSONField(default=list)  # ids the items are dealt out to in turn; empty: who comes first
    planned = models.PositiveIntegerField(default=0)
    laid = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN.value)
    build = models.OneToOneField(Build, models.SET_NULL, null=True, related_name="review_round")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True)

    machine = ROUND

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("review-detail", args=[self.project.slug, self.pk])

    @property
    def is_open(self) -> bool:
        return self.state == self.State.OPEN


class ReviewItem(models.Model):
    """One row of the round. It is done when as many people as it needs have decided."""

    round = models.ForeignKey(ReviewRound, models.CASCADE, related_name="items")
    position = models.PositiveIntegerField()
    row = models.PositiveIntegerField()  # index in the version
    needs = models.PositiveSmallIntegerField(default=1)
    decided = models.PositiveSmallIntegerField(default=0)
    assigned_to = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    # Shown to somebody until then, so that two people are not given the same item at once.
    held_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    held_until = models.DateTimeField(null=True)
    # The last sign of life of whoever holds it, and the seconds looked at up to then.
    seen_at = models.DateTimeField(null=True)
    seen_seconds = models.FloatField(default=0.0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["round", "position"], name="one_item_per_position"),
            models.UniqueConstraint(fields=["round", "row"], name="one_item_per_row"),
        ]
        indexes = [
            models.Index(fields=["round", "decided", "position"]),
            # Only what still waits: however much is done, the next item is found at once.
            models.Index(
                fields=["round", "assigned_to", "position"],
                condition=models.Q(decided__lt=models.F("needs")),
                name="review_item_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"row {self.row} of {self.round}"

    @property
    def project(self) -> Project:
        return self.round.project


class ReviewDecision(models.Model):
    class Verdict(models.TextChoices):
        ACCEPT = "accept", "Accepted"
        FIX = "fix", "Fixed"
        SWAP = "swap", "Turned round"  # a preference pair whose rejected answer is the better one
        REJECT = "reject", "Rejected"
        SKIP = "skip", "Skipped"

    item = models.ForeignKey(ReviewItem, models.CASCADE, related_name="decisions")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=10, choices=Verdict)
    reason = models.CharField(max_length=300, blank=True)
    comment = models.TextField(blank=True)
    answer = models.TextField(blank=True)  # of a fix: the answer as it should be
    seconds = models.FloatField(default=0.0)  # looked at, as measured by the server, idle time left out
    booked = models.BooleanField(default=False)  # its minutes stand in the ledger
    decided_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "reviewer"], name="one_decision_per_person")]
        indexes = [
            models.Index(fields=["reviewer"], condition=models.Q(booked=False), name="review_time_not_booked"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} by {self.reviewer_id}"


class ReviewRuling(models.Model):
    """The last word on a row about which people disagreed."""

    item = models.OneToOneField(ReviewItem, models.CASCADE, related_name="ruling")
    verdict = models.CharField(max_length=10, choices=ReviewDecision.Verdict)
    answer = models.TextField(blank=True)
    reason = models.CharField(max_length=300, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.verdict} of {self.item_id}"
