"""What is found in versions, what people have decided about it, and what versions share with golden sets."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from datasets_app.models.versions import Dataset, DatasetVersion
from projects.models import LeasedJob, Project


class Finding(models.Model):
    """Something about a version that its people should know, with the rows it is about."""

    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="findings")
    code = models.CharField(max_length=60)
    severity = models.CharField(max_length=10)
    count = models.PositiveIntegerField()
    rows = models.JSONField(default=list)  # the first 1,000; all of them stand in found/<code>.npy beside the rows
    detail = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "code"], name="one_finding_per_code")]

    def __str__(self) -> str:
        return f"{self.code} in {self.version}"


class Counted(models.Model):
    """Rows that stand in two sets; each row is counted once, under the closest kind."""

    exact = models.PositiveIntegerField()
    normalised = models.PositiveIntegerField()
    ngram = models.PositiveIntegerField(default=0)  # shares a run of 13 words
    near = models.PositiveIntegerField(default=0)  # Jaccard of word 3-grams at least 0.8
    rows = models.JSONField(default=list)

    class Meta:
        abstract = True

    @property
    def total(self) -> int:
        """Rows that have leaked, one way or another."""
        return self.exact + self.normalised + self.ngram + self.near


class Overlap(Counted):
    """Rows of a version that also stand in a golden set."""

    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="overlaps")
    golden_version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="+")

    class Meta(Counted.Meta):
        constraints = [models.UniqueConstraint(fields=["version", "golden_version"], name="one_overlap_per_pair")]

    def __str__(self) -> str:
        return f"{self.version} and {self.golden_version}"


class Shared(Counted):
    """Rows of a version to train on that also stand in the version that runs over it are looked at with."""

    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="shared")
    held_out = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="+")

    class Meta(Counted.Meta):
        constraints = [
            models.UniqueConstraint(fields=["version", "held_out"], name="one_count_of_shared_rows_per_pair")
        ]

    def __str__(self) -> str:
        return f"{self.version} and {self.held_out}"


class Dismissal(models.Model):
    """Somebody looked at a finding and decided to live with it; remembered over versions until it grows."""

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="dismissals")
    code = models.CharField(max_length=60)
    count = models.PositiveIntegerField()  # when it was dismissed
    rows = models.PositiveIntegerField()  # of the version it was dismissed on
    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="+")
    reason = models.TextField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "code"],
                condition=models.Q(withdrawn_at__isnull=True),
                name="one_standing_dismissal_per_code",
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} of {self.dataset} dismissed"

    @property
    def project(self) -> Project:
        return self.dataset.project


class Comparison(LeasedJob):
    """A version held against golden sets that it has not been compared with, or against data held out of training."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="comparisons")
    held_out = models.ForeignKey(
        DatasetVersion, models.CASCADE, null=True, related_name="+", help_text="None: golden sets."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        pass

    def __str__(self) -> str:
        return f"comparison of {self.version}"

    def get_absolute_url(self) -> str:
        return self.version.get_absolute_url()


class TextSearch(LeasedJob):
    """A person's text looked for in every version and every uploaded file of the project, whole and exact."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    text = models.CharField(max_length=400)
    matches = models.JSONField(default=list)  # [{"version", "rows", "first": [indices]}]
    files = models.JSONField(default=list)  # ids of uploads whose file, or what is quoted of it, holds the text
    unread = models.JSONField(default=list)  # ids of uploads whose file could not be read to its end
    searched_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        pass

    def __str__(self) -> str:
        return "search for a text"

    def get_absolute_url(self) -> str:
        return reverse("text-search-detail", args=[self.project.slug, self.pk])
