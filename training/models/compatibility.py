"""What is remembered of bases and adapters to compare them, the proofs of what adapters do, and people's decisions.

None of these rows is ever changed: a trigger refuses it.
"""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import Q

from projects.domain.errors import Refused
from projects.models import Project
from training.domain.compatibility import VERDICTS
from training.models.adapter import Adapter
from training.models.run import BaseModelVersion


def _never() -> NoReturn:
    raise Refused("Evidence is never changed.", code="evidence_is_kept")


class KeptQuerySet(models.QuerySet[Any]):
    def update(self, **changes: Any) -> NoReturn:
        _never()


class Kept(models.Model):
    """Written once."""

    created_at = models.DateTimeField(auto_now_add=True)

    # The migrations add a trigger that refuses UPDATE on the tables themselves.
    objects = KeptQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            _never()
        super().save(*args, **kwargs)


class BaseAnatomy(Kept):
    """Shapes, config and tokenizer of a base, as `training.engine.anatomy` read them from its files."""

    base = models.OneToOneField(BaseModelVersion, models.CASCADE, related_name="anatomy")
    facts = models.JSONField()

    def __str__(self) -> str:
        return f"anatomy of {self.base}"


class AdapterAnatomy(Kept):
    """Shapes of an adapter and the sketch of its weights, as `training.engine.sketch` read them from its file."""

    adapter = models.OneToOneField(Adapter, models.CASCADE, related_name="anatomy")
    facts = models.JSONField()

    def __str__(self) -> str:
        return f"anatomy of {self.adapter}"


class EffectProof(Kept):
    """What a base says of a few fixed texts without and with an adapter, by the kind of numbers it was computed in."""

    adapter = models.ForeignKey(Adapter, models.CASCADE, related_name="proofs")
    numerics = models.CharField(max_length=40)
    observed = models.JSONField()
    effect = models.FloatField()
    job_label = models.CharField(max_length=60, help_text="Which work made it: the run itself, or the first load.")
    job_id = models.BigIntegerField()
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["adapter", "numerics"], name="one_proof_per_numerics")]

    def __str__(self) -> str:
        return f"proof of {self.adapter} in {self.numerics}"

    @property
    def is_first(self) -> bool:
        """Made together with the adapter, by the run that trained it."""
        return self.job_label == "training.run"


class BaseDecision(Kept):
    """Somebody answers for using an adapter on a version of its base that is not the one it was trained on."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="base_decisions")
    adapter = models.ForeignKey(Adapter, models.CASCADE, related_name="base_decisions")
    base = models.ForeignKey(BaseModelVersion, models.CASCADE, related_name="decisions")
    allowed = models.BooleanField(help_text="False takes an earlier decision back.")
    verdict = models.CharField(max_length=12, choices=VERDICTS, help_text="As it was when it was decided.")
    codes = models.JSONField(default=list, help_text="The reasons of the verdict.")
    evidence = models.CharField(max_length=64, blank=True, help_text="Digest of the probe that was at hand.")
    reason = models.TextField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["adapter", "base", "-id"])]
        constraints = [models.CheckConstraint(name="a_decision_on_a_base_says_why", condition=~Q(reason=""))]

    def __str__(self) -> str:
        return f"{self.adapter} on {self.base}"

    def as_dict(self) -> dict[str, Any]:
        """What goes into the records of work that stands on it."""
        told = ("pk", "verdict", "codes", "evidence", "reason")
        return {name: getattr(self, name) for name in told} | {"by": self.decided_by.email}
