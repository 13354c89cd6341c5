"""How adapters come to be: base-model versions, runs and their metrics, adapters."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from datasets_app.models import DatasetVersion
from projects.domain.states import JobState
from projects.models import LeasedJob, Project


class BaseModelVersion(LeasedJob):
    """An exact base model: its bytes are known by their hashes."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="bases")
    name = models.CharField(max_length=120)
    source = models.CharField(max_length=10, choices=[("local", "Local directory"), ("hub", "Hub")])
    repo_id = models.CharField(max_length=200, blank=True)
    revision = models.CharField(max_length=100, blank=True)
    path = models.CharField(max_length=300, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    parts = models.JSONField(default=dict)
    licence = models.CharField(max_length=100, blank=True)
    architecture = models.CharField(max_length=100, blank=True)
    parameters = models.BigIntegerField(null=True)
    context_length = models.PositiveIntegerField(null=True)
    vocab_size = models.PositiveIntegerField(null=True)
    size_bytes = models.BigIntegerField(null=True)
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["project", "fingerprint"],
                name="one_base_per_fingerprint",
                condition=Q(state=JobState.SUCCEEDED.value),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("base-detail", args=[self.project.slug, self.pk])


class Run(LeasedJob):
    project = models.ForeignKey(Project, models.CASCADE, related_name="runs")
    name = models.CharField(max_length=120)
    method = models.CharField(max_length=10, choices=[("sft", "SFT"), ("dpo", "DPO")])
    base = models.ForeignKey(BaseModelVersion, models.PROTECT, related_name="runs")
    dataset_version = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="runs")
    parent_adapter = models.ForeignKey("Adapter", models.PROTECT, null=True, related_name="children")
    recipe = models.JSONField()
    spec = models.JSONField(default=dict)
    projection = models.JSONField(default=dict)
    measured = models.JSONField(default=dict)
    device = models.CharField(max_length=40, blank=True)
    total_steps = models.PositiveIntegerField(null=True)
    step = models.PositiveIntegerField(default=0)
    tokens_seen = models.BigIntegerField(default=0)
    checkpoint_step = models.PositiveIntegerField(null=True)
    checkpoint_sha256 = models.CharField(max_length=64, blank=True)
    launched_with = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        indexes = [*LeasedJob.Meta.indexes, models.Index(fields=["project", "-id"])]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("run-detail", args=[self.project.slug, self.pk])


class MetricPoint(models.Model):
    run = models.ForeignKey(Run, models.CASCADE, related_name="metrics")
    name = models.CharField(max_length=60)
    step = models.PositiveIntegerField()
    value = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "name", "step"], name="one_value_per_step")]

    def __str__(self) -> str:
        return f"{self.name}@{self.step}={self.value}"


class Adapter(models.Model):
    """What a run made, tied to the exact base it was trained on."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="adapters")
    run = models.OneToOneField(Run, models.PROTECT, related_name="adapter")
    name = models.CharField(max_length=120)
    base = models.ForeignKey(BaseModelVersion, models.PROTECT, related_name="adapters")
    dataset_version = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="adapters")
    key = models.CharField(max_length=300)
    manifest = models.JSONField()
    digest = models.CharField(max_length=64)
    rank = models.PositiveIntegerField()
    alpha = models.FloatField()
    size_bytes = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_adapter_per_name")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("adapter-detail", args=[self.project.slug, self.pk])


class TokenProfile(LeasedJob):
    """Lengths of a dataset version in a base model's own tokens, and what a `max_length` would cut."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="token_profiles")
    base = models.ForeignKey(BaseModelVersion, models.CASCADE, related_name="token_profiles")
    max_length = models.PositiveIntegerField()
    stats = models.JSONField(default=dict)

    class Meta(LeasedJob.Meta):
        constraints = [
            models.UniqueConstraint(fields=["version", "base", "max_length"], name="one_profile_per_length"),
        ]

    def __str__(self) -> str:
        return f"token lengths of {self.version} under {self.base}"

    def get_absolute_url(self) -> str:
        return reverse("version-detail", args=[self.project.slug, self.version_id])
