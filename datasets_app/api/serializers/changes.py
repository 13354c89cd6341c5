"""What the API takes and gives around changes: differences, proposals, recipes, searches for a text."""

from typing import Any

from rest_framework import serializers

from datasets_app.models import Proposal, SavedRecipe, TextSearch, VersionDiff
from projects.api.serializers import StrictSerializer


class DiffSerializer(serializers.ModelSerializer):
    summary = serializers.DictField(help_text="Rows added, removed, edited and the same; labels before and after.")

    class Meta:
        model = VersionDiff
        fields = ["id", "before", "after", "state", "summary", "error_message", "created_at", "finished_at"]
        read_only_fields = fields


class AgainstSerializer(StrictSerializer):
    before = serializers.IntegerField(min_value=1, max_value=2**63 - 1, help_text="The version to compare with.")


class ChangedRowSerializer(serializers.Serializer):
    before = serializers.DictField(allow_null=True, help_text="The stored row, or null for an added one.")
    after = serializers.DictField(allow_null=True)


class ChangedRowPageSerializer(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    total = serializers.IntegerField()
    results = ChangedRowSerializer(many=True)


class ProposalSerializer(serializers.ModelSerializer):
    proposed_by = serializers.EmailField(source="proposed_by.email", read_only=True)
    decided_by = serializers.EmailField(source="decided_by.email", read_only=True, allow_null=True)

    class Meta:
        model = Proposal
        fields = [
            "id", "dataset", "title", "reason", "base", "version", "build", "state", "proposed_by", "created_at",
            "decided_by", "decided_at",
        ]  # fmt: skip
        read_only_fields = fields


class ProposalCommentSerializer(StrictSerializer):
    text = serializers.CharField(max_length=10_000)


class SavedRecipeSerializer(serializers.ModelSerializer):
    steps = serializers.ListField(child=serializers.DictField())
    created_by = serializers.EmailField(source="created_by.email", read_only=True)

    class Meta:
        model = SavedRecipe
        fields = ["id", "name", "steps", "created_by", "created_at"]
        read_only_fields = ["id", "created_by", "created_at"]


class NewSavedRecipeSerializer(StrictSerializer):
    name = serializers.CharField(max_length=120)
    steps: Any = serializers.ListField(child=serializers.DictField(), min_length=1)


class TextSearchSerializer(serializers.ModelSerializer):
    matches = serializers.ListField(child=serializers.DictField())
    files = serializers.ListField(child=serializers.IntegerField(), help_text="Uploads whose file holds the text.")
    unread = serializers.ListField(child=serializers.IntegerField(), help_text="Uploads that could not be read.")
    searched_by = serializers.EmailField(source="searched_by.email", read_only=True)

    class Meta:
        model = TextSearch
        fields = [
            "id",
            "state",
            "matches",
            "files",
            "unread",
            "error_message",
            "searched_by",
            "created_at",
            "finished_at",
        ]
        read_only_fields = fields


class NewTextSearchSerializer(StrictSerializer):
    text = serializers.CharField(min_length=3, max_length=400, help_text="Looked for whole, in any case.")
