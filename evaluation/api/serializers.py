"""Evaluations and their answers, as the API reads and writes them."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from datasets_app.models import DatasetVersion
from evaluation import selectors
from evaluation.domain.graders import GRADERS
from evaluation.models import Evaluation, EvaluationItem
from projects.api.serializers import StrictSerializer
from training.api.decision_shapes import DecisionReasonField
from training.models import Adapter, BaseModelVersion


class ScoreSerializer(serializers.Serializer):
    """Shares from 0 to 1; `low` and `high` bound the difference with 95 % confidence."""

    n = serializers.IntegerField()
    base = serializers.FloatField()
    adapter = serializers.FloatField()
    difference = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    gains = serializers.IntegerField()
    losses = serializers.IntegerField()
    p_value = serializers.FloatField(required=False, help_text="Exact McNemar test; pass/fail graders only.")


class RetentionSerializer(serializers.Serializer):
    """Loss on general text; the change is in per cent, with a 95 % interval."""

    rows = serializers.IntegerField()
    tokens = serializers.IntegerField()
    base_loss = serializers.FloatField()
    adapter_loss = serializers.FloatField()
    change_percent = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class FaultSerializer(serializers.Serializer):
    code = serializers.CharField()
    text = serializers.CharField()


class ProofSerializer(serializers.Serializer):
    """What the effect proof of the load found: `apart` is how far it was from what is stored, where that is known."""

    faults = FaultSerializer(many=True, required=False)
    effect = serializers.FloatField(required=False)
    apart = serializers.FloatField(required=False, allow_null=True)
    tolerance = serializers.FloatField(required=False)
    numerics = serializers.CharField(required=False)


class SummarySerializer(serializers.Serializer):
    """What was found; empty until the evaluation has succeeded."""

    n = serializers.IntegerField(required=False)
    primary = serializers.CharField(required=False)
    graders = serializers.DictField(child=ScoreSerializer(), required=False)
    changes = serializers.DictField(child=serializers.IntegerField(), required=False)
    minimum_detectable = serializers.FloatField(required=False)
    retention = RetentionSerializer(required=False)
    proof = ProofSerializer(required=False)
    effect = serializers.FloatField(required=False, help_text="Largest change of a logit by the adapter.")
    cut = serializers.DictField(child=serializers.IntegerField(), required=False)
    too_long = serializers.IntegerField(required=False)
    seconds = serializers.DictField(child=serializers.FloatField(), required=False)
    tokens = serializers.DictField(child=serializers.IntegerField(), required=False)
    packages = serializers.DictField(child=serializers.CharField(), required=False)
    items_sha256 = serializers.CharField(required=False)


class SettingsSerializer(serializers.Serializer):
    primary = serializers.CharField()
    max_new_tokens = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True)
    seed = serializers.IntegerField()
    retention_limit = serializers.IntegerField()


class ProgressSerializer(serializers.Serializer):
    phase = serializers.CharField(required=False, allow_null=True)
    done = serializers.IntegerField(required=False, allow_null=True)
    total = serializers.IntegerField(required=False, allow_null=True)


class VerdictSerializer(serializers.Serializer):
    judgement = serializers.ChoiceField(choices=["better", "worse", "cannot_say"])
    headline = serializers.CharField()
    sentence = serializers.CharField()


class EvaluationSerializer(serializers.ModelSerializer):
    summary = SummarySerializer(read_only=True)
    settings = SettingsSerializer(read_only=True)
    progress = ProgressSerializer(read_only=True)
    graders = serializers.ListField(child=serializers.CharField(), read_only=True)
    verdict = serializers.SerializerMethodField()
    cost = serializers.SerializerMethodField()

    class Meta:
        model = Evaluation
        fields = [
            "id", "adapter", "base", "golden", "retention", "graders", "settings", "state", "progress", "device",
            "verdict", "summary", "cost", "error_code", "error_message", "attempt", "queued_at", "started_at",
            "finished_at", "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(VerdictSerializer(allow_null=True))
    def get_verdict(self, evaluation: Evaluation) -> Any:
        found = selectors.verdict(evaluation)
        return VerdictSerializer(found).data if found else None

    @extend_schema_field(serializers.DecimalField(max_digits=14, decimal_places=6))
    def get_cost(self, evaluation: Evaluation) -> str:
        known = self.context.get("costs") or selectors.costs(evaluation.project, [evaluation.pk])
        return f"{known[evaluation.pk]:.6f}"


class ItemSerializer(serializers.ModelSerializer):
    scores = serializers.DictField(child=serializers.DictField(child=serializers.FloatField()))

    class Meta:
        model = EvaluationItem
        fields = [
            "index", "row_id", "place", "outcome", "change", "prompt", "expected", "base_output", "adapter_output",
            "scores",
        ]  # fmt: skip
        read_only_fields = fields


class StartSerializer(StrictSerializer):
    """Golden set × (base, adapter). What is left out is chosen to fit the golden set's answers."""

    adapter = serializers.PrimaryKeyRelatedField(queryset=Adapter.objects.none())
    golden = serializers.PrimaryKeyRelatedField(queryset=DatasetVersion.objects.none())
    base = serializers.PrimaryKeyRelatedField(
        queryset=BaseModelVersion.objects.none(),
        required=False,
        allow_null=True,
        help_text="Left out, the one it was trained on.",
    )
    base_decision_reason = DecisionReasonField()
    retention = serializers.PrimaryKeyRelatedField(
        queryset=DatasetVersion.objects.none(), required=False, allow_null=True
    )
    graders = serializers.MultipleChoiceField(choices=[*GRADERS], required=False)
    max_new_tokens = serializers.IntegerField(min_value=1, max_value=4096, required=False, allow_null=True)
    limit = serializers.IntegerField(min_value=10, max_value=selectors.MOST_QUESTIONS, required=False, allow_null=True)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)

    def get_fields(self) -> dict[str, Any]:
        """Only what belongs to the project can be named; anything else does not exist."""
        fields = super().get_fields()
        project = self.context.get("project")
        if project is not None:
            own = DatasetVersion.objects.filter(dataset__project=project).select_related("dataset")
            for name, queryset in (
                ("adapter", selectors.adapters(project)),
                ("base", project.bases.all()),
                ("golden", own),
                ("retention", own),
            ):
                fields[name].queryset = queryset  # type: ignore[attr-defined]
        return fields
