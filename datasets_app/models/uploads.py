"""Files on their way in: parts that arrive, uploads that are read, every row that could not be."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse

from datasets_app.models.versions import Dataset, DatasetVersion
from projects.domain.states import ACTIVE, JobState
from projects.models import LeasedJob, Project


class Incoming(models.Model):
    """A file that arrives in parts, over as many connections as it takes."""

    class State(models.TextChoices):
        OPEN = "open"
        CLOSED = "closed"
        GONE = "gone"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="incoming")
    file_name = models.CharField(max_length=255)
    size = models.BigIntegerField()
    part_size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, blank=True)  # as the sender says it; checked when the last part is there
    options = models.JSONField(default=dict)  # forced_format, mapping, provenance, hold, mends: given to the upload
    state = models.CharField(max_length=10, choices=State, default=State.OPEN.value)
    upload = models.OneToOneField("datasets.Upload", models.SET_NULL, null=True, related_name="incoming")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [models.Index(fields=["project", "state"])]

    def __str__(self) -> str:
        return f"{self.file_name} on its way"

    @property
    def parts_expected(self) -> int:
        return max(1, -(-self.size // self.part_size))


class Part(models.Model):
    """One part that has arrived whole. `number` counts from 0."""

    incoming = models.ForeignKey(Incoming, models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    key = models.CharField(max_length=300)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incoming", "number"], name="one_part_per_number")]

    def __str__(self) -> str:
        return f"part {self.number} of {self.incoming_id}"


class Upload(LeasedJob):
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="uploads")
    file_name = models.CharField(max_length=255)
    key = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    forced_format = models.CharField(max_length=40, blank=True)
    # Columns and roles as a person set them: {"columns": {"theirs": "ours"}, "roles": {"theirs": "ours"}}.
    mapping = models.JSONField(default=dict)
    # Said once for the whole file: {"origin", "teacher", "licence", "depth", "contributor"}; a row may say its own.
    provenance = models.JSONField(default=dict)
    # Wait with the version while rows are kept aside, so that mended ones can still join it.
    hold = models.BooleanField(default=False)
    # The upload whose bad rows this file mends; its good rows join that one's version in the making.
    mends = models.ForeignKey("self", models.SET_NULL, null=True, related_name="menders")
    # Rows read so far, of a version that is not made yet.
    staged_key = models.CharField(max_length=300, blank=True)
    staged_manifest = models.JSONField(default=dict)
    detected_format = models.CharField(max_length=40, blank=True)
    file_type = models.CharField(max_length=40, blank=True)
    rows_good = models.PositiveIntegerField(default=0)
    rows_bad = models.PositiveIntegerField(default=0)
    samples = models.JSONField(default=list)
    # The file's own columns with examples, keys of turns, roles and three records: what a person maps by.
    head = models.JSONField(default=dict)
    bad_codes = models.JSONField(default=dict)
    version = models.OneToOneField(DatasetVersion, models.PROTECT, null=True, related_name="upload")
    reread_of = models.ForeignKey("self", models.SET_NULL, null=True, related_name="rereads")
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    # The file, its examples and what was quoted of bad rows were deleted on request; its version stays as it is.
    forgotten_at = models.DateTimeField(null=True)

    class Meta(LeasedJob.Meta):
        pass

    def __str__(self) -> str:
        return f"upload of {self.file_name}"

    def get_absolute_url(self) -> str:
        return reverse("upload-detail", args=[self.project.slug, self.pk])

    @property
    def is_in_the_making(self) -> bool:
        """Its good rows wait for the rows kept aside; mended ones can still join them."""
        if self.state != JobState.SUCCEEDED or not self.hold or not self.staged_key or self.mends_id:
            return False
        return self.version_id is None and not self.assemblies.filter(state__in=ACTIVE).exists()


class BadRow(models.Model):
    """A row that could not be read: where, what was found, what was expected."""

    upload = models.ForeignKey(Upload, models.CASCADE, related_name="bad_rows")
    line = models.BigIntegerField()
    field = models.CharField(max_length=200, blank=True)
    code = models.CharField(max_length=60)
    found = models.CharField(max_length=300, blank=True)
    expected = models.CharField(max_length=300, blank=True)
    column = models.PositiveIntegerField(null=True)  # in characters from 1, where the parser knows it
    fix = models.CharField(max_length=40, blank=True)  # of domain.fixes: what would mend this row in one click
    mended_by = models.ForeignKey(Upload, models.SET_NULL, null=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["upload", "code", "line"])]

    def __str__(self) -> str:
        return f"line {self.line}: {self.code}"
