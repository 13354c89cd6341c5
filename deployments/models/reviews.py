"""Slots, requests with their evidence, reviews, and deployments. The database keeps the promises of a review."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from deployments.domain import policies
from deployments.domain.states import OPEN, REQUEST, RequestState, RolloutKind, Verdict
from projects.domain.states import ACTIVE
from projects.models import LeasedJob, Project


def _choices(states: Any) -> list[tuple[str, str]]:
    return [(state.value, state.value.replace("_", " ").capitalize()) for state in states]


REQUEST_STATES = _choices(RequestState)


def _person(**options: Any) -> models.ForeignKey:
    return models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", **options)


class Slot(models.Model):
    """A place where at most one adapter is live, such as “production”; served from one folder."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="slots")
    name = models.CharField(max_length=60)
    target = models.SlugField(max_length=60, help_text="Folder of the slot below the project's.")
    description = models.CharField(max_length=300, blank=True)
    created_by = _person()
    created_at = models.DateTimeField(auto_now_add=True)

    objects = models.Manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_slot_per_name"),
            models.UniqueConstraint(fields=["project", "target"], name="one_slot_per_target"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("slot-detail", args=[self.project.slug, self.pk])

    @property
    def folder(self) -> Path:
        return Path(settings.DEPLOY_DIR) / self.project.slug / self.target


class DeploymentRequest(models.Model):
    """“May this adapter go live there?”, with the evidence and the digest that an approval is bound to."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="deployment_requests")
    slot = models.ForeignKey(Slot, models.PROTECT, related_name="requests")
    adapter = models.ForeignKey("training.Adapter", models.PROTECT, related_name="deployment_requests")
    evaluation = models.ForeignKey(
        "evaluation.Evaluation", models.PROTECT, null=True, related_name="deployment_requests"
    )
    requested_by = _person()
    # Copied from the run or the import, so that the database itself can refuse their decision.
    run_started_by = _person(null=True)
    run_created_by = _person(null=True)
    imported_by = _person(null=True)
    message = models.TextField(blank=True, max_length=5000)
    state = models.CharField(max_length=20, choices=REQUEST_STATES, default=RequestState.SUBMITTED.value)
    evidence = models.JSONField(default=dict)
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    submitted_at = models.DateTimeField(default=timezone.now)
    decided_by = _person(null=True)
    decided_at = models.DateTimeField(null=True)
    decided_digest = models.CharField(max_length=64, blank=True)
    void_reason = models.TextField(blank=True)
    void_changes = models.JSONField(default=list)

    machine = REQUEST
    objects = models.Manager()

    class Meta:
        ordering = ["-submitted_at", "-pk"]
        indexes = [models.Index(fields=["project", "state"])]
        constraints = [
            models.UniqueConstraint(
                name="one_open_request_per_adapter_and_slot",
                fields=["adapter", "slot"],
                condition=Q(state__in=[state.value for state in OPEN]),
            ),
            models.CheckConstraint(name="nobody_decides_their_own", condition=~Q(decided_by=F("requested_by"))),
            models.CheckConstraint(
                name="nobody_decides_a_run_they_started", condition=~Q(decided_by=F("run_started_by"))
            ),
            models.CheckConstraint(
                name="nobody_decides_a_run_they_created", condition=~Q(decided_by=F("run_created_by"))
            ),
            models.CheckConstraint(
                name="nobody_decides_an_adapter_they_imported", condition=~Q(decided_by=F("imported_by"))
            ),
            models.CheckConstraint(
                name="decided_by_and_at_together",
                condition=Q(decided_by=None, decided_at=None) | Q(decided_by__isnull=False, decided_at__isnull=False),
            ),
            models.CheckConstraint(
                name="an_approval_is_of_this_evidence",
                condition=~Q(state__in=[RequestState.APPROVED.value, RequestState.DEPLOYED.value])
                | Q(decided_by__isnull=False, decided_digest=F("digest")),
            ),
        ]

    def __str__(self) -> str:
        return f"request {self.pk}: {self.adapter} to {self.slot}"

    def get_absolute_url(self) -> str:
        return reverse("request-detail", args=[self.project.slug, self.pk])

    @property
    def is_open(self) -> bool:
        return RequestState(self.state) in OPEN

    @property
    def people(self) -> dict[str, policies.Person | None]:
        """Everyone whose own work this is; none of them may decide."""
        return {role: as_person(getattr(self, role)) for role in policies.TIES}


def as_person(user: Any) -> policies.Person | None:
    return policies.Person(user.pk, user.email) if user else None


class Review(models.Model):
    """What somebody said about a request, and which evidence they saw when they said it."""

    request = models.ForeignKey(DeploymentRequest, models.CASCADE, related_name="reviews")
    author = _person()
    verdict = models.CharField(max_length=20, choices=_choices(Verdict))
    body = models.TextField(blank=True, max_length=5000)
    digest = models.CharField(max_length=64)
    at = models.DateTimeField(auto_now_add=True)

    objects = models.Manager()

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} by {self.author}"

    @property
    def project(self) -> Project:
        return self.request.project


class Deployment(LeasedJob):
    """One switch of a slot to an adapter: forward after an approval, or back to what was live before."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="deployments")
    slot = models.ForeignKey(Slot, models.PROTECT, related_name="deployments")
    request = models.ForeignKey(DeploymentRequest, models.PROTECT, related_name="deployments")
    adapter = models.ForeignKey("training.Adapter", models.PROTECT, related_name="deployments")
    kind = models.CharField(max_length=10, choices=_choices(RolloutKind), default=RolloutKind.DEPLOY.value)
    back_to = models.ForeignKey("self", models.PROTECT, null=True, related_name="+")
    reason = models.TextField(blank=True, max_length=2000)
    manifest = models.JSONField(default=dict)
    live = models.BooleanField(default=False)
    deployed_by = _person()
    created_at = models.DateTimeField(auto_now_add=True)
    verified_at = models.DateTimeField(null=True)
    superseded_at = models.DateTimeField(null=True)

    objects = models.Manager()

    class Meta(LeasedJob.Meta):
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(name="one_live_deployment_per_slot", fields=["slot"], condition=Q(live=True)),
            models.UniqueConstraint(
                name="one_switch_at_a_time_per_slot",
                fields=["slot"],
                condition=Q(state__in=sorted(state.value for state in ACTIVE)),
            ),
            models.CheckConstraint(
                name="what_is_live_was_verified", condition=Q(live=False) | Q(verified_at__isnull=False)
            ),
            models.CheckConstraint(
                name="a_rollback_says_where_to",
                condition=Q(kind=RolloutKind.DEPLOY.value, back_to=None)
                | Q(kind=RolloutKind.ROLLBACK.value, back_to__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        verb = "rollback" if self.kind == RolloutKind.ROLLBACK else "deployment"
        return f"{verb} {self.pk}: {self.adapter} to {self.slot}"

    def get_absolute_url(self) -> str:
        return self.slot.get_absolute_url()

    @property
    def digest(self) -> str:
        return self.manifest["digest"]

    @property
    def release(self) -> str:
        """Name of the folder below `releases/`; never used for other bytes."""
        return self.digest[:12]

    @property
    def origin(self) -> "Deployment":
        """The forward deployment whose release this is."""
        return self.back_to.origin if self.back_to else self
