"""What the API says about slots, requests and deployments, and what it takes."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from deployments.domain.states import RolloutKind, Verdict
from deployments.models import REQUEST_STATES, Deployment, DeploymentRequest, Review, Slot
from projects.api.serializers import StrictModelSerializer, StrictSerializer
from projects.models.jobs import STATES
from training.api.decision_shapes import DecisionReasonField

VERDICTS = [verdict.value for verdict in Verdict if verdict is not Verdict.COMMENT]


class LiveSerializer(serializers.Serializer):
    """What is live in a slot."""

    deployment = serializers.IntegerField(source="pk")
    adapter = serializers.IntegerField(source="adapter_id")
    adapter_name = serializers.CharField(source="adapter.name")
    digest = serializers.CharField()
    since = serializers.DateTimeField(source="verified_at")


class SlotSerializer(StrictModelSerializer):
    live = serializers.SerializerMethodField()
    created_by = serializers.EmailField(source="created_by.email", read_only=True)

    class Meta:
        model = Slot
        fields = ["id", "name", "target", "description", "live", "created_by", "created_at"]
        read_only_fields = ["id", "target", "created_at"]

    @extend_schema_field(LiveSerializer(allow_null=True))
    def get_live(self, slot: Slot) -> dict[str, Any] | None:
        live = next(iter(slot.live_now), None)  # type: ignore[attr-defined]
        return dict(LiveSerializer(live).data) if live else None


class GateSerializer(serializers.Serializer):
    code = serializers.CharField()
    title = serializers.CharField()
    status = serializers.ChoiceField(["pass", "fail", "inconclusive", "error"])
    value = serializers.CharField()
    threshold = serializers.CharField()
    explanation = serializers.CharField()
    blocking = serializers.BooleanField()
    version = serializers.IntegerField()


class ChangeSerializer(serializers.Serializer):
    field = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    before = serializers.CharField()
    after = serializers.CharField()


class ReviewSerializer(serializers.ModelSerializer):
    author = serializers.EmailField(source="author.email")

    class Meta:
        model = Review
        fields = ["id", "author", "verdict", "body", "digest", "at"]
        read_only_fields = fields


class RequestSerializer(serializers.ModelSerializer):
    """A request as lists show it."""

    state = serializers.ChoiceField(REQUEST_STATES)
    requested_by = serializers.EmailField(source="requested_by.email")
    decided_by = serializers.EmailField(source="decided_by.email", allow_null=True, default=None)

    class Meta:
        model = DeploymentRequest
        fields = [
            "id", "slot", "adapter", "evaluation", "message", "state", "digest", "requested_by", "created_at",
            "submitted_at", "decided_by", "decided_at", "decided_digest", "void_reason",
        ]  # fmt: skip
        read_only_fields = fields


class RequestDetailSerializer(RequestSerializer):
    """A request with its evidence, the gates over it, what has changed since, and its discussion."""

    evidence = serializers.JSONField()
    gates = GateSerializer(many=True)
    changed_since = ChangeSerializer(many=True)
    reviews = ReviewSerializer(many=True)

    class Meta(RequestSerializer.Meta):
        fields = [*RequestSerializer.Meta.fields, "evidence", "gates", "changed_since", "reviews"]
        read_only_fields = fields


class NewRequestSerializer(StrictSerializer):
    slot = serializers.IntegerField(min_value=1)
    adapter = serializers.IntegerField(min_value=1)
    evaluation = serializers.IntegerField(min_value=1, required=False, allow_null=True, default=None)
    message = serializers.CharField(max_length=5000, required=False, allow_blank=True, default="")
    base_decision_reason = DecisionReasonField()


class ResubmitSerializer(StrictSerializer):
    evaluation = serializers.IntegerField(min_value=1, required=False, allow_null=True, default=None)
    message = serializers.CharField(max_length=5000, required=False, allow_blank=True, default="")


class CommentSerializer(StrictSerializer):
    body = serializers.CharField(max_length=5000)


class DecideSerializer(StrictSerializer):
    """`digest` is that of the evidence which the verdict is about."""

    verdict = serializers.ChoiceField(VERDICTS)
    body = serializers.CharField(max_length=5000)
    digest = serializers.RegexField(r"^[0-9a-f]{64}$")


class DeploymentSerializer(serializers.ModelSerializer):
    state = serializers.ChoiceField(STATES)
    kind = serializers.ChoiceField([kind.value for kind in RolloutKind])
    digest = serializers.CharField()
    deployed_by = serializers.EmailField(source="deployed_by.email")

    class Meta:
        model = Deployment
        fields = [
            "id", "slot", "request", "adapter", "kind", "back_to", "state", "live", "digest", "reason",
            "deployed_by", "created_at", "verified_at", "superseded_at", "error_code", "error_message",
        ]  # fmt: skip
        read_only_fields = fields
