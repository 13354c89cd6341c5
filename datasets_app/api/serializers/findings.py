"""Findings with their words, their rows and what was decided about them, over the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from datasets_app.api.serializers.versions import RowSerializer, StepSerializer
from projects.api.serializers import StrictSerializer


class DecisionSerializer(serializers.Serializer):
    """Somebody looked at a finding and decided to live with it."""

    code = serializers.CharField()
    reason = serializers.CharField()
    by = serializers.EmailField(source="by.email")
    at = serializers.DateTimeField()
    version = serializers.IntegerField(source="version_id", help_text="That it was decided on.")
    count = serializers.IntegerField(help_text="Rows at that time.")
    withdrawn_by = serializers.EmailField(source="withdrawn_by.email", allow_null=True, default=None)
    withdrawn_at = serializers.DateTimeField(allow_null=True)


class SaidFindingSerializer(serializers.Serializer):
    code = serializers.CharField()
    severity = serializers.ChoiceField(choices=["error", "warning", "info"])
    title = serializers.CharField()
    why = serializers.CharField()
    remedy = serializers.CharField()
    when = serializers.CharField(help_text="When this finding is raised.")
    count = serializers.IntegerField(help_text="Rows; 0 for findings about the whole set.")
    detail = serializers.DictField()
    fix = serializers.SerializerMethodField(help_text="The step of a recipe that mends it; null if none does.")
    decided = DecisionSerializer(allow_null=True, help_text="The decision that holds: the finding does not count.")
    came_back = DecisionSerializer(
        allow_null=True, help_text="A decision that holds no longer: it has grown or worsened."
    )

    @extend_schema_field(StepSerializer(allow_null=True))
    def get_fix(self, found: Any) -> Any:
        return found.fix.as_dict() if found.fix else None


class ListedFindingsSerializer(serializers.Serializer):
    results = SaidFindingSerializer(many=True)


class PlaceSerializer(serializers.Serializer):
    turn = serializers.IntegerField(help_text="Counted from 0; chosen turns follow the prompt, rejected ones those.")
    start = serializers.IntegerField(help_text="In characters.")
    end = serializers.IntegerField()
    kind = serializers.CharField()
    shown = serializers.CharField(allow_null=True, help_text="A masked preview of secrets and personal data.")


class FoundRowSerializer(serializers.Serializer):
    row = RowSerializer()
    places = PlaceSerializer(many=True)


class FoundRowPageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    total = serializers.IntegerField()
    results = FoundRowSerializer(many=True)


class DismissingSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=1000, help_text="Why it may stay, at least 10 characters.")
