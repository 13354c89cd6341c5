"""Two versions of a base beside each other, as the API tells it."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from projects.domain.errors import Invalid
from training import selectors
from training.domain.versions import KINDS
from training.models import BaseModelVersion, EffectProof

OTHER = [OpenApiParameter("other", int, required=True, description="The base to compare with.")]
KIND_CHOICES = [(kind.value, words) for kind, words in KINDS.items()]


class ComparedFieldSerializer(serializers.Serializer):
    """One field of both versions; `told` says how they differ where that can be said."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    before = serializers.CharField(allow_blank=True)
    after = serializers.CharField(allow_blank=True)
    same = serializers.BooleanField()
    told = serializers.CharField(allow_blank=True)


class VersionComparisonSerializer(serializers.Serializer):
    """`words` is the same weights with another template, tokenizer or settings; `weights` the same shapes with other

    weights; `shapes` another network.
    """

    kind = serializers.ChoiceField(KIND_CHOICES)
    title = serializers.CharField()
    fields = ComparedFieldSerializer(many=True)  # type: ignore[assignment]


class EffectProofSerializer(serializers.ModelSerializer):
    """`effect` is the largest change of a log-probability by the adapter; `job` is the work that made the proof."""

    job = serializers.CharField(source="job_label")

    class Meta:
        model = EffectProof
        fields = ["numerics", "effect", "job", "job_id", "digest", "created_at"]
        read_only_fields = fields


def compared(base: BaseModelVersion, other: str) -> dict[str, Any]:
    """The comparison with the base of that number in the same project."""
    found = base.project.bases.filter(pk=other).first() if other.isdecimal() and len(other) < 19 else None
    if found is None:
        raise Invalid("Say in “other” which base of this project to compare with.", code="not_in_project",
                      field="other")  # fmt: skip
    comparison = selectors.compared_bases(base, found)
    return {
        "kind": comparison.kind.value,
        "title": comparison.title,
        "fields": [vars(field) for field in comparison.fields],
    }
