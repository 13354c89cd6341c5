"""What is trained on: datasets, their immutable versions, uploads with every bad row, findings."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from projects.domain.errors import Refused
from projects.models import LeasedJob, Project

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


class DatasetVersion(models.Model):
    """Rows that never change: what was trained on can be shown for ever."""

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

    class Meta:
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


class Upload(LeasedJob):
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="uploads")
    file_name = models.CharField(max_length=255)
    key = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    forced_format = models.CharField(max_length=40, blank=True)
    detected_format = models.CharField(max_length=40, blank=True)
    file_type = models.CharField(max_length=40, blank=True)
    rows_good = models.PositiveIntegerField(default=0)
    rows_bad = models.PositiveIntegerField(default=0)
    samples = models.JSONField(default=list)
    bad_codes = models.JSONField(default=dict)
    version = models.OneToOneField(DatasetVersion, models.PROTECT, null=True, related_name="upload")
    reread_of = models.ForeignKey("self", models.SET_NULL, null=True, related_name="rereads")
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        pass

    def __str__(self) -> str:
        return f"upload of {self.file_name}"

    def get_absolute_url(self) -> str:
        return reverse("upload-detail", args=[self.project.slug, self.pk])


class BadRow(models.Model):
    """A row that could not be read: where, what was found, what was expected."""

    upload = models.ForeignKey(Upload, models.CASCADE, related_name="bad_rows")
    line = models.BigIntegerField()
    field = models.CharField(max_length=200, blank=True)
    code = models.CharField(max_length=60)
    found = models.CharField(max_length=300, blank=True)
    expected = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["upload", "code", "line"])]

    def __str__(self) -> str:
        return f"line {self.line}: {self.code}"


class Build(LeasedJob):
    """A version made out of another by a recipe."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="builds")
    source = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="builds")
    steps = models.JSONField()
    version = models.OneToOneField(DatasetVersion, models.PROTECT, null=True, related_name="build")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        pass

    def __str__(self) -> str:
        return f"cleaning of {self.source}"

    def get_absolute_url(self) -> str:
        return reverse("dataset-detail", args=[self.project.slug, self.dataset_id])


class Finding(models.Model):
    """Something about a version that its people should know, with the rows it is about."""

    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="findings")
    code = models.CharField(max_length=60)
    severity = models.CharField(max_length=10)
    count = models.PositiveIntegerField()
    rows = models.JSONField(default=list)
    detail = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "code"], name="one_finding_per_code")]

    def __str__(self) -> str:
        return f"{self.code} in {self.version}"


class Overlap(models.Model):
    """Rows of a version whose prompt also stands in a golden set."""

    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="overlaps")
    golden_version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="+")
    exact = models.PositiveIntegerField()
    normalised = models.PositiveIntegerField()
    rows = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "golden_version"], name="one_overlap_per_pair")]

    def __str__(self) -> str:
        return f"{self.version} and {self.golden_version}"
