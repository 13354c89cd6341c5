"""Versions, their findings and rows, and the jobs that make them, over the API."""

from typing import Any

from rest_framework import serializers

from datasets_app.domain.recipes import INTERNAL, Op
from datasets_app.models import Build, DatasetVersion, Finding, Overlap
from projects.api.serializers import StrictModelSerializer, StrictSerializer


class FindingSerializer(serializers.ModelSerializer):
    rows = serializers.ListField(child=serializers.IntegerField(), help_text="The first 1,000 row indices.")
    detail = serializers.DictField()

    class Meta:
        model = Finding
        fields = ["code", "severity", "count", "rows", "detail"]
        read_only_fields = fields


class OverlapSerializer(serializers.ModelSerializer):
    class Meta:
        model = Overlap
        fields = ["golden_version", "exact", "normalised", "ngram", "near"]
        read_only_fields = fields


class VersionSerializer(StrictModelSerializer):
    purpose = serializers.CharField(source="dataset.purpose", read_only=True)
    parents: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)
    recipe = serializers.ListField(child=serializers.DictField(), read_only=True)
    findings = FindingSerializer(many=True, read_only=True)
    overlaps = OverlapSerializer(many=True, read_only=True)
    created_by = serializers.EmailField(source="created_by.email", read_only=True)

    class Meta:
        model = DatasetVersion
        fields = [
            "id", "dataset", "number", "purpose", "kind", "rows", "size_bytes", "content_hash", "source_format",
            "stage", "parents", "recipe", "findings", "overlaps", "created_by", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class StepSerializer(serializers.Serializer):
    """A step that mends a finding, as it may be sent back."""

    op = serializers.ChoiceField(choices=[op.value for op in Op])
    code = serializers.CharField(required=False, help_text="Of drop_finding: whose rows.")
    golden = serializers.ListField(child=serializers.IntegerField(), required=False, help_text="Of drop_overlap.")


class CleaningSerializer(StrictSerializer):
    steps = serializers.ListField(
        child=serializers.DictField(),
        min_length=1,
        help_text="Each has an `op`, one of " + ", ".join(sorted(set(Op) - INTERNAL)) + ", and its arguments.",
    )
    title = serializers.CharField(required=False, default="", allow_blank=True, max_length=200)
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=4000)


class BuildSerializer(serializers.ModelSerializer):
    steps = serializers.ListField(child=serializers.DictField())
    created_by = serializers.EmailField(source="created_by.email")

    class Meta:
        model = Build
        fields = [
            "id", "dataset", "source", "steps", "state", "version", "error_code", "error_message", "created_by",
            "created_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class RowSerializer(serializers.Serializer):
    """A row in the internal form; `messages` are the prompt turns of a preference pair."""

    index = serializers.IntegerField()
    id = serializers.CharField(help_text="The first 16 digits of the sha256 of its content.")
    kind = serializers.CharField()
    messages = serializers.ListField(child=serializers.DictField())
    chosen = serializers.ListField(child=serializers.DictField(), allow_null=True)
    rejected = serializers.ListField(child=serializers.DictField(), allow_null=True)
    tools = serializers.ListField(child=serializers.DictField(), allow_null=True)
    text = serializers.CharField(allow_null=True)
    label = serializers.CharField(allow_null=True)  # type: ignore[assignment]
    tags = serializers.ListField(child=serializers.CharField(), allow_null=True)
    source_id = serializers.CharField(allow_null=True)
    line = serializers.IntegerField(help_text="In the uploaded file.")


class RowPageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    total = serializers.IntegerField(
        allow_null=True, help_text="Null for a search: go on with `next` until it is null."
    )
    results = RowSerializer(many=True)
