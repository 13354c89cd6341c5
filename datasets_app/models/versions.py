"""Datasets and their immutable versions."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from projects.domain.errors import Refused
from projects.models import Project

PURPOSES = [("training", "Training"), ("golden", "Golden set"), ("retention", "Retention set")]
KINDS = [("sft", "Prompt and answer"), ("preference", "Preference"), ("text", "Text")]


class Dataset(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=120)
    purpose = models.CharField(max_length=20, choices=PURPOSES)
    description = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_dataset_per_name")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("dataset-detail", args=[self.project.slug, self.pk])


class Stage(models.TextChoices):
    """A proposed version can be looked at and compared; only a released one can be used."""

    RELEASED = "released", "Released"
    PROPOSED = "proposed", "Proposed"
    DECLINED = "declined", "Declined"


class ReleasedVersions(models.Manager["DatasetVersion"]):
    """What everybody else may train on and measure with."""

    def get_queryset(self) -> models.QuerySet["DatasetVersion"]:
        return super().get_queryset().filter(stage=Stage.RELEASED)


class DatasetVersion(models.Model):
    """Rows that never change: what was trained on can be shown for ever.

    `objects` and `dataset.versions` hold released versions only; `every` holds the proposed and the declined too.
    """

    dataset = models.ForeignKey(Dataset, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    parents = models.ManyToManyField("self", symmetrical=False, related_name="children", blank=True)
    content_hash = models.CharField(max_length=64)
    rows = models.PositiveIntegerField()
    size_bytes = models.BigIntegerField()
    key = models.CharField(max_length=300)
    manifest = models.JSONField(default=dict)
    kind = models.CharField(max_length=20, choices=KINDS)
    source_format = models.CharField(max_length=40)
    recipe = models.JSONField(default=list)
    stats = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    stage = models.CharField(max_length=10, choices=Stage, default=Stage.RELEASED.value)

    objects = ReleasedVersions()
    every = models.Manager["DatasetVersion"]()

    class Meta:
        base_manager_name = "every"
        constraints = [models.UniqueConstraint(fields=["dataset", "number"], name="one_version_per_number")]

    def __str__(self) -> str:
        return f"{self.dataset.name} v{self.number}"

    def save(self, *args, **kwargs) -> None:
        if self.pk is not None:
            raise Refused("A dataset version never changes; make a new one.", code="version_is_immutable")
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("version-detail", args=[self.project.slug, self.pk])

    @property
    def project(self) -> Project:
        return self.dataset.project
