"""Is it better? Evaluations of an adapter against its base, and every answer that both gave."""

from django.conf import settings as django_settings
from django.db import models
from django.urls import reverse

from datasets_app.models import DatasetVersion
from evaluation.domain.ranking import Change
from projects.models import LeasedJob, Project
from training.models import Adapter, BaseModelVersion, DerivedModel

CHANGES = [
    (Change.REGRESSION.value, "Regression"),
    (Change.GAIN.value, "Gain"),
    (Change.BOTH_WRONG.value, "Both wrong"),
    (Change.BOTH_RIGHT.value, "Both right"),
]


class Evaluation(LeasedJob):
    """Golden set × (base, adapter). What it found stands in `summary`; shares there run from 0 to 1."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="evaluations")
    adapter = models.ForeignKey(Adapter, models.PROTECT, related_name="evaluations")
    base = models.ForeignKey(BaseModelVersion, models.PROTECT, related_name="evaluations")
    golden = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="evaluations")
    retention = models.ForeignKey(DatasetVersion, models.PROTECT, null=True, related_name="retention_evaluations")
    graders = models.JSONField(default=list)
    settings = models.JSONField(default=dict)
    summary = models.JSONField(default=dict)
    device = models.CharField(max_length=40, blank=True)
    created_by = models.ForeignKey(django_settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    reads_base = True

    class Meta(LeasedJob.Meta):
        indexes = [*LeasedJob.Meta.indexes, models.Index(fields=["project", "-id"])]

    def __str__(self) -> str:
        return f"{self.adapter.name} on {self.golden}"

    def get_absolute_url(self) -> str:
        return reverse("evaluation-detail", args=[self.project.slug, self.pk])


class Probe(LeasedJob):
    """One adapter on another version of its base: how far what it says has drifted. Its figures are never changed."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="probes")
    adapter = models.ForeignKey(Adapter, models.PROTECT, related_name="probes")
    base = models.ForeignKey(BaseModelVersion, models.PROTECT, related_name="probes")
    golden = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="probes")
    settings = models.JSONField(default=dict)
    figures = models.JSONField(
        default=dict, help_text="Means, intervals, threshold and verdict; empty until it is over."
    )
    told = models.JSONField(default=dict, help_text="How long it took, with which versions of the libraries.")
    device = models.CharField(max_length=40, blank=True)
    key = models.CharField(max_length=300, blank=True, help_text="Where the readings of each prompt lie.")
    manifest = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, blank=True, help_text="Of figures and readings together.")
    created_by = models.ForeignKey(django_settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    reads_base = True

    class Meta(LeasedJob.Meta):
        indexes = [*LeasedJob.Meta.indexes, models.Index(fields=["adapter", "base", "-id"])]
        constraints = [
            models.CheckConstraint(
                name="a_finished_probe_has_evidence", condition=~models.Q(state="succeeded") | ~models.Q(digest="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.adapter.name} on {self.base.name}"

    def get_absolute_url(self) -> str:
        return reverse("compatibility-pair", args=[self.project.slug, self.adapter_id, self.base_id])


class Equivalence(LeasedJob):
    """A derived model beside the adapter on its base, on the same golden rows. Its figures are never changed."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="equivalences")
    derived = models.ForeignKey(DerivedModel, models.CASCADE, related_name="equivalences")
    golden = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="equivalences")
    digest_of_model = models.CharField(max_length=64, help_text="Which bytes it speaks of.")
    graders = models.JSONField(default=list)
    settings = models.JSONField(default=dict)
    figures = models.JSONField(default=dict, help_text="By grader, and the judgement; empty until it is over.")
    told = models.JSONField(default=dict, help_text="Proof, seconds, tokens, versions of the libraries.")
    device = models.CharField(max_length=40, blank=True)
    key = models.CharField(max_length=300, blank=True, help_text="Where both answers to every row lie.")
    manifest = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, blank=True, help_text="Of figures and answers together.")
    created_by = models.ForeignKey(django_settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        verbose_name = "evaluation of a derived model"
        verbose_name_plural = "evaluations of derived models"
        indexes = [*LeasedJob.Meta.indexes, models.Index(fields=["derived", "golden", "-id"])]
        constraints = [
            models.CheckConstraint(
                name="a_finished_equivalence_has_evidence",
                condition=~models.Q(state="succeeded") | ~models.Q(digest=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.derived} on {self.golden}"

    def get_absolute_url(self) -> str:
        return reverse("equivalence-detail", args=[self.project.slug, self.pk])


class EvaluationItem(models.Model):
    """One golden row: both answers, their scores, and its place when the worst regressions come first."""

    evaluation = models.ForeignKey(Evaluation, models.CASCADE, related_name="items")
    index = models.PositiveIntegerField()
    row_id = models.CharField(max_length=64, blank=True)
    prompt = models.TextField()
    expected = models.TextField()
    base_output = models.TextField()
    adapter_output = models.TextField()
    scores = models.JSONField(default=dict)
    change = models.FloatField(default=0)
    outcome = models.CharField(max_length=12, choices=CHANGES)
    place = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["evaluation", "index"], name="one_item_per_index"),
            models.UniqueConstraint(fields=["evaluation", "place"], name="one_item_per_place"),
        ]
        indexes = [models.Index(fields=["evaluation", "outcome", "place"])]

    def __str__(self) -> str:
        return f"golden row {self.index + 1} of {self.evaluation}"
