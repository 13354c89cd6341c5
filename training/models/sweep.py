"""Sweeps: one question asked of many runs, and each of its trials."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from datasets_app.models import DatasetVersion
from projects.domain.states import JobState
from projects.models import LeasedJob, Project
from training.domain.recipe import Recipe
from training.domain.sweeps import space as spaces
from training.domain.sweeps.space import Space
from training.models.run import METHODS, BaseModelVersion, Run

STRATEGIES = [("grid", "Grid: every combination"), ("random", "Random points"), ("tpe", "TPE: learns from its runs")]
STOPPING = [
    ("none", "No: all go to their end"),
    ("median", "Median rule: worse than half"),
    ("halving", "Halving: a third goes on"),
]


class Sweep(LeasedJob):
    """Runs that differ in what `space` says and share everything else. No worker takes it: the reconciler moves it on.

    Its money is held as a whole; what a run may cost goes over to that run's own hold when it starts.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="sweeps")
    name = models.CharField(max_length=120)
    method = models.CharField(max_length=10, choices=METHODS)
    base = models.ForeignKey(BaseModelVersion, models.PROTECT, related_name="sweeps")
    dataset_version = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="+")
    recipe = models.JSONField(help_text="What all of its runs share.")
    space = models.JSONField(help_text="What they differ in: see training.domain.sweeps.space.")
    strategy = models.CharField(max_length=10, choices=STRATEGIES)
    runs_wanted = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(100)])
    at_once = models.PositiveSmallIntegerField(default=2, validators=[MinValueValidator(1), MaxValueValidator(16)])
    seed = models.PositiveIntegerField(default=0)
    stopping = models.CharField(max_length=10, choices=STOPPING, default="none")
    grace = models.FloatField(default=0.3, help_text="Share of its steps that every run gets before it may be stopped.")
    golden = models.ForeignKey(DatasetVersion, models.PROTECT, null=True, blank=True, related_name="+")
    validation_version = models.ForeignKey(
        DatasetVersion,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="What its runs are looked at with.",
    )
    projection = models.JSONField(default=dict, help_text="Frozen at the start: P50 and P90 of all of it.")
    result = models.JSONField(default=dict, help_text="Which run is proposed, and why.")
    note = models.TextField(blank=True, help_text="Why it went another way than planned.")
    leak_reason = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        indexes = [*LeasedJob.Meta.indexes, models.Index(fields=["project", "-id"])]
        constraints = [
            models.CheckConstraint(
                name="a_sweep_beyond_draft_was_started_by_someone",
                condition=Q(state=JobState.DRAFT.value) | Q(started_by__isnull=False),
            ),
            models.CheckConstraint(
                name="a_sweep_has_one_to_a_hundred_runs", condition=Q(runs_wanted__gte=1, runs_wanted__lte=100)
            ),
            models.CheckConstraint(name="a_sweeps_grace_is_a_share", condition=Q(grace__gt=0, grace__lt=1)),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("sweep-detail", args=[self.project.slug, self.pk])

    @property
    def job_label(self) -> str:
        return "training.sweep"

    @property
    def read_space(self) -> Space:
        return spaces.read(self.space)

    def recipe_of(self, params: spaces.Params) -> Recipe:
        """What a trial trains with: the shared recipe and its own point."""
        return Recipe.read(self.recipe | {name: value for name, value in params.items() if name != spaces.DATA})


class Trial(models.Model):
    """One point of a sweep. Its number is given once, so no replica begins it twice."""

    sweep = models.ForeignKey(Sweep, models.CASCADE, related_name="trials")
    number = models.PositiveSmallIntegerField()
    params = models.JSONField()
    run = models.OneToOneField(Run, models.SET_NULL, null=True, related_name="trial")
    refused = models.TextField(blank=True, help_text="Why it was not started.")
    stopped = models.JSONField(default=dict, help_text="Why it was stopped early, when, and about what that saved.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sweep", "number"], name="one_trial_per_number")]

    def __str__(self) -> str:
        return f"trial {self.number} of {self.sweep}"
