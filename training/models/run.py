"""Base-model versions, runs and their metrics, and the adapters that come out of them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from datasets_app.models import DatasetVersion
from projects.domain.states import JobState
from projects.models import LeasedJob, Project
from training.domain import licences
from training.domain.licences import Terms
from training.domain.projection import Shape
from training.domain.recipe import Recipe

SOON = timedelta(days=90)
SOURCES = [("local", "Directory on the server"), ("hub", "Model hub")]
METHODS = [("sft", "SFT"), ("dpo", "DPO")]
LISTED = (
    "state", "method", "base", "dataset_version", "created_by", "created_at", "started_at", "last_loss",
    "tokens_per_second", "seconds", "cost", "step", "total_steps", "name",
)  # fmt: skip


class BaseModelVersion(LeasedJob):
    """One exact base model: its files, and one fingerprint over all of them."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="bases")
    name = models.CharField(max_length=200)
    source = models.CharField(max_length=10, choices=SOURCES)
    repo_id = models.CharField(max_length=200, blank=True)
    revision = models.CharField(max_length=100, blank=True)
    path = models.CharField(max_length=300, help_text="Below the models folder, or below the data folder for the hub.")
    fingerprint = models.CharField(max_length=64, blank=True)
    parts = models.JSONField(default=dict)
    shape = models.JSONField(default=dict)
    template = models.CharField(max_length=10, blank=True)
    licence = models.CharField(max_length=100, blank=True, help_text="As its card says, or as a person found out.")
    licence_link = models.CharField(max_length=500, blank=True, help_text="Where its text is.")
    terms = models.TextField(blank=True, max_length=4000, help_text="What binds its users besides, as people say.")
    end_of_life = models.DateField(null=True, help_text="When its maker, or this team, stops standing by it.")
    architecture = models.CharField(max_length=100, blank=True)
    parameters = models.BigIntegerField(default=0)
    context_length = models.PositiveIntegerField(default=0)
    vocab_size = models.PositiveIntegerField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    quantisation = models.CharField(max_length=60, blank=True, help_text="As its config says; empty for none.")
    dtype = models.CharField(max_length=20, blank=True, help_text="What most of its numbers are stored as.")
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        constraints = [
            models.UniqueConstraint(
                name="one_ready_base_per_fingerprint",
                fields=["project", "fingerprint"],
                condition=Q(state=JobState.SUCCEEDED.value),
            ),
            models.CheckConstraint(
                name="a_ready_base_has_a_fingerprint",
                condition=~Q(state=JobState.SUCCEEDED.value, fingerprint=""),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("base-detail", args=[self.project.slug, self.pk])

    @property
    def job_label(self) -> str:
        return "training.base"

    @property
    def is_ready(self) -> bool:
        return self.state == JobState.SUCCEEDED

    @property
    def folder(self) -> Path:
        """Where the files lie on a worker."""
        return Path(settings.MODELS_DIR if self.source == "local" else settings.DATA_DIR) / self.path

    @property
    def has_ended(self) -> bool:
        return self.end_of_life is not None and self.end_of_life <= timezone.localdate()

    @property
    def ends_soon(self) -> bool:
        return self.end_of_life is not None and not self.has_ended and self.end_of_life <= timezone.localdate() + SOON

    @property
    def licence_terms(self) -> Terms:
        return licences.terms(self.licence, self.licence_link, self.terms)

    @property
    def spoilt(self) -> Any:
        """A copy of its files that cannot be used, where no host has one that can; else None."""
        copies = list(self.copies.all())
        return copies[0] if copies and not any(copy.is_usable for copy in copies) else None

    @property
    def shown_path(self) -> str:
        """The folder in words that tell nothing of the machine."""
        return f"{'the models folder' if self.source == 'local' else 'the data folder'}, {self.path}"

    @property
    def projection_shape(self) -> Shape:
        return Shape.read(self.shape | {"parameters": self.parameters, "vocab": self.vocab_size})


class Run(LeasedJob):
    """One fine-tuning. Its whole spec is frozen when it is started; every retry is a new attempt of the same run."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="runs")
    name = models.CharField(max_length=120)
    method = models.CharField(max_length=10, choices=METHODS)
    base = models.ForeignKey(BaseModelVersion, models.PROTECT, related_name="runs")
    dataset_version = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="runs")
    validation_version = models.ForeignKey(
        DatasetVersion, models.PROTECT, null=True, blank=True, related_name="looked_at_by",
        help_text="Rows that it is looked at with and does not learn from.",
    )  # fmt: skip
    parent_adapter = models.ForeignKey("Adapter", models.PROTECT, null=True, blank=True, related_name="children")
    recipe = models.JSONField()
    spec = models.JSONField(default=dict)
    projection = models.JSONField(default=dict)
    measured = models.JSONField(default=dict)
    report = models.JSONField(default=dict, help_text="What the engine did with the rows.")
    device = models.CharField(max_length=40, blank=True)
    device_name = models.CharField(max_length=120, blank=True)
    total_steps = models.PositiveIntegerField(default=0)
    step = models.PositiveIntegerField(default=0)
    tokens_seen = models.BigIntegerField(default=0)
    last_loss = models.FloatField(null=True, help_text="The newest that was reported, where lists show it.")
    checkpoint_step = models.PositiveIntegerField(default=0)
    checkpoint_sha256 = models.CharField(max_length=64, blank=True)
    checkpoints = models.JSONField(default=list, help_text="Those that exist: step, sha256, bytes, when.")
    saves = models.JSONField(default=dict, help_text="By fence, when its attempt saved: what was paid and is not lost.")
    start_at = models.PositiveIntegerField(null=True, help_text="The checkpoint that a person chose; 0 is the start.")
    stop_seconds = models.FloatField(null=True, help_text="Measured: what it needs to save and stop.")
    grace_seconds = models.FloatField(null=True, help_text="What its worker gives it for that.")
    degraded = models.JSONField(default=dict, help_text="What it works without, such as a disk that takes checkpoints.")
    failure = models.JSONField(default=dict, help_text="Where it failed: step, rows, the longest of them.")
    launched_with = models.JSONField(default=dict, help_text="What was known and accepted at the start.")
    # What lists show and sort by, kept on the row as it comes in, so that ten thousand runs are listed from one index.
    tokens_per_second = models.FloatField(null=True, help_text="The newest; of a run that succeeded, of all of it.")
    seconds = models.FloatField(null=True, help_text="What its ended attempts took together.")
    cost = models.DecimalField(max_digits=14, decimal_places=6, null=True, help_text="What the ledger says, in all.")
    devices = models.PositiveSmallIntegerField(default=1, help_text="Cards of one host that it runs on.")
    kept_free_by = models.CharField(max_length=120, blank=True, help_text="The host that keeps its places for it.")
    sweep = models.ForeignKey("Sweep", models.SET_NULL, null=True, blank=True, related_name="runs")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    takes_several = True
    reads_base = True

    class Meta(LeasedJob.Meta):
        indexes = [
            *LeasedJob.Meta.indexes,
            models.Index(fields=["project", "-id"]),
            # All that the list filters, sorts and shows: it is read from here alone, whatever the filter or the order.
            models.Index(fields=["project", *LISTED, "id"], name="run_listed"),
        ]
        constraints = [
            models.CheckConstraint(
                name="a_run_beyond_draft_has_a_spec", condition=Q(state=JobState.DRAFT.value) | ~Q(spec={})
            ),
            models.CheckConstraint(
                name="a_run_beyond_draft_was_started_by_someone",
                condition=Q(state=JobState.DRAFT.value) | Q(started_by__isnull=False),
            ),
            models.CheckConstraint(
                name="a_run_is_not_looked_at_with_what_it_learns_from",
                condition=Q(validation_version__isnull=True) | ~Q(validation_version=models.F("dataset_version")),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("run-detail", args=[self.project.slug, self.pk])

    @property
    def read_recipe(self) -> Recipe:
        return Recipe.read(self.recipe)

    @property
    def home(self) -> Path:
        """What its attempts share: the checkpoints."""
        return Path(settings.WORK_DIR) / self.job_label / str(self.pk)

    @property
    def checkpoint_dir(self) -> Path:
        return self.home / "ckpt"

    @property
    def workdir(self) -> Path:
        """Where the newest attempt works or worked."""
        return self.home / f"f{self.fence}"
