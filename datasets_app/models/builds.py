"""Versions made by a recipe, and changes that wait for a second person."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from datasets_app.models.versions import Dataset, DatasetVersion
from projects.models import LeasedJob, Project


class Build(LeasedJob):
    """A version made out of another by a recipe."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="builds")
    # The first source; null when the rows come from staged uploads alone.
    source = models.ForeignKey(DatasetVersion, models.PROTECT, null=True, related_name="builds")
    merged = models.ManyToManyField(DatasetVersion, related_name="+", blank=True)  # further sources, in order of id
    staged = models.ManyToManyField("datasets.Upload", related_name="assemblies", blank=True)
    steps = models.JSONField()
    version = models.OneToOneField(DatasetVersion, models.PROTECT, null=True, related_name="build")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        pass

    def __str__(self) -> str:
        return f"change of {self.source}" if self.source_id else f"version of {self.dataset}"

    def get_absolute_url(self) -> str:
        return reverse("dataset-detail", args=[self.project.slug, self.dataset_id])


class Proposal(models.Model):
    """A change that is released when a second person has seen what it does."""

    class State(models.TextChoices):
        BUILDING = "building", "Being made"
        OPEN = "open", "Open"
        MERGED = "merged", "Merged"
        CLOSED = "closed", "Closed"

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="proposals")
    title = models.CharField(max_length=200)
    reason = models.TextField(blank=True)
    base = models.ForeignKey(DatasetVersion, models.PROTECT, null=True, related_name="+")
    version = models.OneToOneField(DatasetVersion, models.PROTECT, null=True, related_name="proposal")
    build = models.OneToOneField(Build, models.SET_NULL, null=True, related_name="proposal")
    state = models.CharField(max_length=10, choices=State, default=State.BUILDING.value)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["dataset", "state"])]
        constraints = [
            models.CheckConstraint(
                name="nobody_merges_their_own_change",
                condition=~Q(state="merged") | Q(decided_by__isnull=True) | ~Q(decided_by=F("proposed_by")),
            )
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("proposal-detail", args=[self.project.slug, self.pk])


class ProposalComment(models.Model):
    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.text[:60]
