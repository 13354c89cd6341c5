"""Adapters, made by a run here or imported; and the imports themselves."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from datasets_app.models import DatasetVersion
from projects.models import LeasedJob, Project, User
from training.domain.findings import Finding
from training.domain.matching import PROOFS, Proof
from training.models.run import BaseModelVersion, Run


class AdapterImport(LeasedJob):
    """Files of an adapter that was trained elsewhere, and what a worker found in them."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="adapter_imports")
    name = models.CharField(max_length=120)
    source = models.CharField(max_length=500, help_text="Where it comes from, in the words of whoever brought it.")
    key = models.CharField(
        max_length=300, blank=True, help_text="Where the files as they came lie until they are read."
    )
    files = models.JSONField(help_text="Name, size and sha256 of each file as it came.")
    base = models.ForeignKey(
        BaseModelVersion,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="As declared, or as found by the worker.",
    )
    dataset_version = models.ForeignKey(
        DatasetVersion, models.PROTECT, null=True, related_name="+", help_text="What it was trained on, as declared."
    )
    proof = models.CharField(max_length=10, choices=PROOFS, blank=True)
    declared = models.JSONField(default=dict, help_text="What its config says of its base and its making.")
    findings = models.JSONField(default=list)
    imported_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(LeasedJob.Meta):
        indexes = [*LeasedJob.Meta.indexes, models.Index(fields=["project", "-id"])]
        constraints = [
            models.CheckConstraint(
                name="a_finished_import_knows_its_base",
                condition=~Q(state="succeeded") | (Q(base__isnull=False) & ~Q(proof="")),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("adapter-import-detail", args=[self.project.slug, self.pk])

    @property
    def job_label(self) -> str:
        return "training.adapter_import"

    @property
    def found(self) -> list[Finding]:
        return [Finding.read(raw) for raw in self.findings]


class Adapter(models.Model):
    """LoRA weights, tied to the exact base they stand on and to how they came here: a run, or an import."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="adapters")
    run = models.OneToOneField(Run, models.PROTECT, null=True, related_name="adapter")
    imported = models.OneToOneField(AdapterImport, models.PROTECT, null=True, related_name="adapter")
    name = models.CharField(max_length=120)
    base = models.ForeignKey(BaseModelVersion, models.PROTECT, related_name="adapters")
    dataset_version = models.ForeignKey(DatasetVersion, models.PROTECT, null=True, related_name="adapters")
    key = models.CharField(max_length=300, unique=True)
    manifest = models.JSONField()
    digest = models.CharField(max_length=64)
    rank = models.PositiveIntegerField()
    alpha = models.PositiveIntegerField()
    size_bytes = models.BigIntegerField()
    findings = models.JSONField(default=list, help_text="What its own files say against it, without keeping it out.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_adapter_per_name"),
            models.CheckConstraint(name="an_adapter_has_weights", condition=Q(size_bytes__gt=0, rank__gt=0)),
            models.CheckConstraint(
                name="an_adapter_is_made_by_a_run_or_imported",
                condition=Q(run__isnull=False, imported__isnull=True, dataset_version__isnull=False)
                | Q(run__isnull=True, imported__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("adapter-detail", args=[self.project.slug, self.pk])

    @property
    def origin(self) -> str:
        return "run" if self.run_id else "import"

    @property
    def method(self) -> str:
        """How it was made, in words."""
        return self.run.get_method_display() if self.run else "Imported"

    @property
    def author(self) -> User | None:
        """Whose work it is: who started its run, or who brought it here."""
        return self.run.started_by if self.run else self.imported.imported_by  # type: ignore[union-attr]

    @property
    def parent(self) -> "Adapter | None":
        return self.run.parent_adapter if self.run else None

    @property
    def proof(self) -> Proof:
        """How sure it is that this base is the one it was trained on."""
        return Proof(self.imported.proof) if self.imported else Proof.EXACT

    @property
    def is_unproven(self) -> bool:
        return self.proof != Proof.EXACT

    @property
    def found(self) -> list[Finding]:
        return [Finding.read(raw) for raw in self.findings]
