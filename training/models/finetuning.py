"""Fine-tuning jobs ordered through the OpenAI API: they wait for their file and then have a run."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from datasets_app.models import Upload
from projects.models import Project
from training.domain.finetuning import JOB, State
from training.models.adapter import Adapter
from training.models.run import BaseModelVersion, Run

STATES = [(state.value, state.value.replace("_", " ").title()) for state in State]


class FineTuningJob(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="fine_tuning_jobs")
    upload = models.ForeignKey(Upload, models.SET_NULL, null=True, related_name="+")
    training_file = models.CharField(max_length=40, help_text="The id of its file, which may be deleted since.")
    validation_upload = models.ForeignKey(Upload, models.SET_NULL, null=True, related_name="+")
    validation_file = models.CharField(max_length=40, blank=True, help_text="The id of that file; empty for none.")
    model = models.CharField(max_length=400, help_text="As it was asked for.")
    base = models.ForeignKey(BaseModelVersion, models.SET_NULL, null=True, related_name="+")
    parent = models.ForeignKey(Adapter, models.SET_NULL, null=True, related_name="+")
    method = models.CharField(max_length=20, choices=[("supervised", "Supervised"), ("dpo", "DPO")])
    hyperparameters = models.JSONField(default=dict)
    seed = models.BigIntegerField(default=0)
    suffix = models.CharField(max_length=64, blank=True)
    metadata = models.JSONField(default=dict)
    state = models.CharField(max_length=20, choices=STATES, default=State.VALIDATING.value)
    run = models.OneToOneField(Run, models.CASCADE, null=True, related_name="ordered_as")
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    error_param = models.CharField(max_length=100, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    machine = JOB

    class Meta:
        indexes = [
            models.Index(fields=["project", "-id"]),
            models.Index(fields=["id"], condition=Q(state="validating_files"), name="fine_tuning_waiting"),
        ]
        constraints = [
            models.CheckConstraint(
                name="a_started_job_has_a_run",
                condition=Q(state="started", run__isnull=False) | (~Q(state="started") & Q(run__isnull=True)),
            ),
            models.CheckConstraint(name="a_failed_job_says_why", condition=~Q(state="failed", error_code="")),
        ]

    def __str__(self) -> str:
        return self.public_id

    def get_absolute_url(self) -> str:
        if self.run is not None:
            return self.run.get_absolute_url()
        return reverse("fine-tuning", args=[self.project.slug])

    @property
    def public_id(self) -> str:
        return f"ftjob-{self.pk}"
