"""Upgrades: which base follows which, what is ordered for the adapters of the old one, and how far each is."""

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from deployments.domain.upgrades import MARGIN, Part, Step, parts_of
from projects.domain.states import ACTIVE, WAITS_FOR_PEOPLE
from projects.models import LeasedJob, Project
from training.models import BaseModelVersion

UNFINISHED = sorted(state.value for state in (*ACTIVE, *WAITS_FOR_PEOPLE))


class Succession(models.Model):
    """Somebody says that one base follows another; of one repository on the hub nobody has to."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="successions")
    old = models.ForeignKey(BaseModelVersion, models.CASCADE, related_name="declared_successors")
    new = models.ForeignKey(BaseModelVersion, models.CASCADE, related_name="declared_predecessors")
    declared_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["old", "new"], name="a_successor_is_declared_once"),
            models.CheckConstraint(name="no_base_follows_itself", condition=~Q(old=F("new"))),
        ]

    def __str__(self) -> str:
        return f"{self.new} follows {self.old}"


class Upgrade(LeasedJob):
    """One order for many adapters of `old`: probe, evaluate or train them again on `new`. The reconciler moves it on.

    Its money is held as a whole; what a part may cost goes over to that part's own hold when it starts.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="upgrades")
    old = models.ForeignKey(BaseModelVersion, models.PROTECT, related_name="upgrades_from")
    new = models.ForeignKey(BaseModelVersion, models.PROTECT, related_name="upgrades_to")
    steps = models.JSONField(help_text="Of probe, evaluate, retrain, in this order.")
    only_lost = models.BooleanField(default=True, help_text="What survives as it is, is not trained again.")
    margin = models.FloatField(default=MARGIN, help_text="How much worse still counts as not worse, as a share.")
    reason = models.TextField(blank=True, help_text="Answers for using the adapters on the new version.")
    at_once = models.PositiveSmallIntegerField(default=4, validators=[MinValueValidator(1), MaxValueValidator(16)])
    projection = models.JSONField(default=dict, help_text="Frozen at the start: P50 and P90 of all of it, by part.")
    result = models.JSONField(default=dict, help_text="The report as it was when it ended.")
    waiting = models.TextField(blank=True, help_text="What it waits for besides its own parts, such as the budget.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        indexes = [*LeasedJob.Meta.indexes, models.Index(fields=["project", "-id"])]
        constraints = [
            models.UniqueConstraint(
                name="one_upgrade_at_a_time_of_two_bases", fields=["old", "new"], condition=Q(state__in=UNFINISHED)
            ),
            models.CheckConstraint(name="an_upgrade_goes_to_another_base", condition=~Q(old=F("new"))),
            models.CheckConstraint(name="an_upgrades_margin_is_a_share", condition=Q(margin__gt=0, margin__lt=1)),
        ]

    def __str__(self) -> str:
        return f"{self.words} of {self.old} on {self.new}"

    def get_absolute_url(self) -> str:
        return reverse("upgrade-detail", args=[self.project.slug, self.pk])

    @property
    def job_label(self) -> str:
        return "deployments.upgrade"

    @property
    def read_steps(self) -> list[Step]:
        return [Step(step) for step in self.steps]

    @property
    def parts(self) -> list[Part]:
        return parts_of(self.read_steps)

    @property
    def words(self) -> str:
        """What was ordered: “Probe, evaluate”."""
        return ", ".join(self.steps).capitalize()

    @property
    def is_unfinished(self) -> bool:
        return self.state in UNFINISHED


class UpgradeItem(models.Model):
    """One adapter of an upgrade: the work that was taken up or started for it, and why some was not."""

    upgrade = models.ForeignKey(Upgrade, models.CASCADE, related_name="items")
    number = models.PositiveIntegerField(help_text="What is used most comes first.")
    adapter = models.ForeignKey("training.Adapter", models.CASCADE, related_name="upgrade_items")
    golden = models.ForeignKey("datasets.DatasetVersion", models.PROTECT, null=True, related_name="+")
    baseline = models.ForeignKey("evaluation.Evaluation", models.SET_NULL, null=True, related_name="+")
    probe = models.ForeignKey("evaluation.Probe", models.SET_NULL, null=True, related_name="+")
    carried = models.ForeignKey("evaluation.Evaluation", models.SET_NULL, null=True, related_name="+")
    retrain = models.ForeignKey("training.Run", models.SET_NULL, null=True, related_name="upgrade_items")
    retrained = models.ForeignKey("evaluation.Evaluation", models.SET_NULL, null=True, related_name="+")
    asked = models.JSONField(default=list, help_text="Parts that this upgrade has started itself.")
    notes = models.JSONField(default=dict, help_text="By part, why it was not done or came to nothing: code and text.")
    plan = models.JSONField(default=dict, help_text="By part, what it may take; nothing for what was there already.")
    use = models.JSONField(default=dict, help_text="How much the adapter was used when this was ordered.")
    compared = models.JSONField(default=dict, help_text="By the numbers of two evaluations, how they compare.")

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["upgrade", "number"], name="one_item_per_number_of_an_upgrade"),
            models.UniqueConstraint(fields=["upgrade", "adapter"], name="one_item_per_adapter_of_an_upgrade"),
        ]

    def __str__(self) -> str:
        return f"{self.adapter} in {self.upgrade}"

    @property
    def project(self) -> Project:
        return self.upgrade.project

    def work(self, part: Part) -> Any:
        """The evaluation, probe or run that does this part; None before there is one."""
        return getattr(self, part.value)
