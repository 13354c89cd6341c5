"""Where the files of a base lie, as the hosts themselves last saw them, and checks that somebody asked for."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from projects.models import LeasedJob, Project
from training.domain import copies
from training.models.run import BaseModelVersion


class BaseCopy(models.Model):
    """The files of one base on one host."""

    base = models.ForeignKey(BaseModelVersion, models.CASCADE, related_name="copies")
    host = models.CharField(max_length=120)
    state = models.CharField(max_length=10, choices=copies.CHOICES)
    wrong = models.JSONField(default=list, help_text="Names of the files that are missing or others.")
    looked_at = models.DateTimeField(help_text="When names, sizes and times were last looked at.")
    verified_at = models.DateTimeField(null=True, help_text="When all bytes were last known to be right.")

    class Meta:
        ordering = ["host"]
        constraints = [models.UniqueConstraint(fields=["base", "host"], name="one_copy_per_host")]

    def __str__(self) -> str:
        return f"{self.base} on {self.host}"

    @property
    def tone(self) -> str:
        return copies.TONES[self.state]

    @property
    def is_usable(self) -> bool:
        return self.state not in copies.UNUSABLE

    @property
    def advice(self) -> str:
        return copies.advice(self.state, self.wrong, self.base.shown_path)


class BaseCheck(LeasedJob):
    """Somebody wants every byte of a base read again on one host; what lives on the hub is fetched there if need be."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="base_checks")
    base = models.ForeignKey(BaseModelVersion, models.CASCADE, related_name="checks")
    host = models.CharField(max_length=120, blank=True, help_text="Empty: whichever takes it.")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    of_one_host = True

    class Meta(LeasedJob.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["base", "host"],
                condition=models.Q(state__in=["queued", "running"]),
                name="one_check_per_host_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"check of {self.base}"

    def get_absolute_url(self) -> str:
        return reverse("base-detail", args=[self.project.slug, self.base_id])

    @property
    def job_label(self) -> str:
        return "training.base_check"
