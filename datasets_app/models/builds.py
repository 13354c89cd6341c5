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


class SavedRecipe(models.Model):
    """Steps under a name, to be followed again on other versions of the project."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    name = models.CharField(max_length=120)
    steps = models.JSONField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_recipe_per_name")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("recipe-list", args=[self.project.slug])


class Preview(LeasedJob):
    """A recipe in the making, followed without keeping anything: what each step would do."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    source = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="previews")
    steps = models.JSONField()
    report = models.JSONField(default=dict)  # {"rows", "left", "steps": [{"op", "dropped", "changed", "examples"}]}
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        pass

    def __str__(self) -> str:
        return f"preview of a change of {self.source}"

    def get_absolute_url(self) -> str:
        return reverse("recipe-preview", args=[self.project.slug, self.pk])


class VersionDiff(LeasedJob):
    """What changed from one version to another: counts here, the rows themselves in a file under `key`."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    before = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="+")
    after = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="diffs")
    summary = models.JSONField(default=dict)  # {"added", "removed", "edited", "same", "labels", "lengths", "findings"}
    key = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        constraints = [models.UniqueConstraint(fields=["before", "after"], name="one_diff_per_pair")]

    def __str__(self) -> str:
        return f"differences from {self.before} to {self.after}"

    def get_absolute_url(self) -> str:
        return reverse("diff-detail", args=[self.project.slug, self.before_id, self.after_id])


class ProposalComment(models.Model):
    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.text[:60]
