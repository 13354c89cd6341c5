"""Models that were made of an adapter: merged with its base, and quantised."""

from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from projects.models import LeasedJob, Project
from training.domain.derived import KINDS, Kind
from training.models.adapter import Adapter


class DerivedModel(LeasedJob):
    """One model of one adapter, whole: whoever has it needs neither base nor adapter. Its job makes it."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="derived_models")
    adapter = models.ForeignKey(Adapter, models.PROTECT, related_name="derived")
    kind = models.CharField(max_length=10, choices=KINDS)
    projection = models.JSONField(default=dict, help_text="Bytes, seconds and money, as expected at the start.")
    key = models.CharField(max_length=300, blank=True)
    manifest = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    facts = models.JSONField(default=dict, help_text="Figures and hashes of its tensors, as they were made.")
    proofs = models.JSONField(default=dict, help_text="What it says of the probes, by the kind of numbers.")
    told = models.JSONField(default=dict, help_text="How long it took, with which versions of the libraries.")
    device = models.CharField(max_length=40, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        indexes = [*LeasedJob.Meta.indexes, models.Index(fields=["project", "-id"])]
        constraints = [
            models.UniqueConstraint(fields=["adapter", "kind"], name="one_derived_model_per_kind"),
            models.CheckConstraint(
                name="a_finished_derived_model_has_files",
                condition=~Q(state="succeeded") | (~Q(digest="") & ~Q(key="") & Q(size_bytes__gt=0)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.adapter.name}, {self.get_kind_display()}"

    def get_absolute_url(self) -> str:
        return reverse("derived-detail", args=[self.project.slug, self.pk])

    @property
    def job_label(self) -> str:
        return "training.derived"

    @property
    def read_kind(self) -> Kind:
        return Kind(self.kind)

    @property
    def is_ready(self) -> bool:
        return bool(self.key) and self.state == "succeeded"

    @property
    def parts_dir(self) -> Path:
        """What its attempts share: weight files that are whole."""
        return Path(settings.WORK_DIR) / self.job_label / str(self.pk) / "parts"
