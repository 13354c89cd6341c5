"""What runs are expected to take: rehearsals before the start, and records of what came of each projection."""

from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from datasets_app.models import DatasetVersion
from projects.domain.states import JobState
from projects.models import LeasedJob, Project
from training.domain.recipe import Recipe
from training.models.adapter import Adapter
from training.models.run import METHODS, BaseModelVersion, Run


class Rehearsal(LeasedJob):
    """Some real steps of a run that has not been started, the longest rows first: does it fit, how fast is it?"""

    project = models.ForeignKey(Project, models.CASCADE, related_name="rehearsals")
    base = models.ForeignKey(BaseModelVersion, models.CASCADE, related_name="rehearsals")
    dataset_version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="rehearsals")
    parent_adapter = models.ForeignKey(Adapter, models.CASCADE, null=True, blank=True, related_name="+")
    method = models.CharField(max_length=10, choices=METHODS)
    recipe = models.JSONField()
    digest = models.CharField(max_length=64, help_text="Of all that its answer depends on, the device too.")
    spec = models.JSONField(default=dict)
    plan = models.JSONField(default=dict, help_text="What was planned when it was asked for.")
    projected = models.JSONField(default=dict, help_text="What it was expected to take itself.")
    result = models.JSONField(default=dict, help_text="What it measured; of one that does not fit, what would.")
    device = models.CharField(max_length=40, blank=True)
    device_name = models.CharField(max_length=120, blank=True)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    reads_base = True

    class Meta(LeasedJob.Meta):
        indexes = [*LeasedJob.Meta.indexes, models.Index(fields=["project", "digest"])]
        constraints = [
            models.UniqueConstraint(
                name="one_rehearsal_at_a_time",
                fields=["project", "digest"],
                condition=Q(state__in=[JobState.QUEUED.value, JobState.RUNNING.value]),
            ),
        ]

    def __str__(self) -> str:
        return f"rehearsal of {self.method.upper()} of {self.base} on {self.dataset_version}"

    def get_absolute_url(self) -> str:
        return reverse("rehearsal-detail", args=[self.project.slug, self.pk])

    @property
    def job_label(self) -> str:
        return "training.rehearsal"

    @property
    def name(self) -> str:
        return "Rehearsal"

    @property
    def fits(self) -> bool:
        return self.state == JobState.SUCCEEDED

    @property
    def read_recipe(self) -> Recipe:
        return Recipe.read(self.recipe)

    @property
    def workdir(self) -> Path:
        return Path(settings.WORK_DIR) / self.job_label / str(self.pk) / f"f{self.fence}"


class ProjectionRecord(models.Model):
    """A projection and what came of it. Bands of the next ones are fitted to these; rates are read off them."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="projection_records")
    run = models.OneToOneField(Run, models.CASCADE, related_name="projection_record")
    source = models.CharField(max_length=20)
    level = models.CharField(max_length=20, blank=True)
    device = models.CharField(max_length=40)
    device_name = models.CharField(max_length=120, blank=True)
    fingerprint = models.CharField(max_length=64, help_text="Of the base, to find runs of the same one; never shown.")
    predicted = models.JSONField(help_text="By quantity: P10, P50, P90, and the guess before correction.")
    actual = models.JSONField(help_text="By quantity.")
    plan = models.JSONField(help_text="What the projection rested on; nothing in it says whose run it was.")
    rates = models.JSONField(help_text="Steps and stages as they were measured.")
    whole = models.BooleanField(default=True, help_text="One attempt from beginning to end, so its time counts.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["device", "fingerprint", "-id"]), models.Index(fields=["project", "-id"])]

    def __str__(self) -> str:
        return f"projection of {self.run}"
