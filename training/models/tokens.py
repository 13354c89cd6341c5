"""Datasets as bases see them: counted in tokens, and single rows token by token."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from datasets_app.models import DatasetVersion
from projects.domain.states import JobState
from projects.models import LeasedJob, Project
from training.models.run import BaseModelVersion


class TokenProfile(LeasedJob):
    """A dataset version counted in tokens of one base; what any limit of length would cut is read off the counts."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="token_profiles")
    base = models.ForeignKey(BaseModelVersion, models.CASCADE, related_name="token_profiles")
    key = models.CharField(max_length=300, blank=True, help_text="Where the counts by row lie.")
    stats = models.JSONField(default=dict, help_text="At the usual limit; of a sample while the rest is being counted.")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        constraints = [
            models.UniqueConstraint(fields=["version", "base"], name="one_profile_per_base"),
            models.CheckConstraint(
                name="counted_data_has_its_counts", condition=~Q(state=JobState.SUCCEEDED.value, key="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} in tokens of {self.base}"

    def get_absolute_url(self) -> str:
        return f"{reverse('version-seen', args=[self.project.slug, self.version_id])}?base={self.base_id}"

    @property
    def job_label(self) -> str:
        return "training.tokens"

    @property
    def is_ready(self) -> bool:
        return self.state == JobState.SUCCEEDED


class SeenRow(LeasedJob):
    """One row as a base will see it: rendered and tokenised once, in a limited process, for whoever asks."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    version = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="seen_rows")
    base = models.ForeignKey(BaseModelVersion, models.CASCADE, related_name="seen_rows")
    index = models.PositiveIntegerField()
    seen = models.JSONField(default=dict)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        constraints = [models.UniqueConstraint(fields=["version", "base", "index"], name="a_row_is_seen_once")]

    def __str__(self) -> str:
        return f"row {self.index} of {self.version} as {self.base} sees it"

    def get_absolute_url(self) -> str:
        address = reverse("version-seen", args=[self.project.slug, self.version_id])
        return f"{address}?base={self.base_id}&row={self.index}"

    @property
    def job_label(self) -> str:
        return "training.seen"

    @property
    def is_ready(self) -> bool:
        return self.state == JobState.SUCCEEDED
