"""Reviews, their rows and decisions over the API."""

from typing import Any

from rest_framework import serializers

from datasets_app.api.serializers.versions import RowSerializer
from datasets_app.models import ReviewDecision, ReviewRound, ReviewRuling
from projects.api.serializers import StrictModelSerializer, StrictSerializer
from projects.models import User

VERDICTS = [(verdict.value, verdict.label) for verdict in ReviewDecision.Verdict]
RULINGS = [pair for pair in VERDICTS if pair[0] != "skip"]
SCOPE_HELP = (
    'Which rows: {"all": true}, or one of "finding", "label", "tag", "text" with its value; '
    'and for a sample of them "share" (0 to 1) or "number".'
)


class DataReviewSerializer(StrictModelSerializer):
    scope = serializers.SerializerMethodField(help_text=SCOPE_HELP)
    people = serializers.SerializerMethodField(help_text="Whom the rows are dealt out to; empty: who comes first.")
    rows = serializers.IntegerField(source="planned", read_only=True)
    new_version = serializers.IntegerField(source="build.version_id", read_only=True, allow_null=True, default=None)
    created_by = serializers.EmailField(source="created_by.email", read_only=True)

    class Meta:
        model = ReviewRound
        fields = [
            "id", "version", "name", "instructions", "scope", "seed", "double_share", "people", "rows", "state",
            "build", "new_version", "created_by", "created_at", "closed_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_scope(self, review: ReviewRound) -> dict[str, Any]:
        return {name: value for name, value in review.scope.items() if name != "rows"}

    def get_people(self, review: ReviewRound) -> list[str]:
        return emails(review.people)


def emails(keys: list[int]) -> list[str]:
    known = dict(User.objects.filter(pk__in=keys).values_list("pk", "email"))
    return [known[pk] for pk in keys if pk in known]


class NewDataReviewSerializer(StrictSerializer):
    version = serializers.IntegerField(min_value=1)
    name = serializers.CharField(max_length=120)
    instructions = serializers.CharField(max_length=10_000, required=False, default="", allow_blank=True)
    scope = serializers.DictField(required=False, default=dict, help_text=SCOPE_HELP)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, default=0)
    double_share = serializers.FloatField(min_value=0, max_value=1, required=False, default=0.0)
    people = serializers.ListField(child=serializers.EmailField(), required=False, default=list, max_length=200)


class DealSerializer(StrictSerializer):
    people = serializers.ListField(child=serializers.EmailField(), max_length=200)


class TakeSerializer(StrictSerializer):
    number = serializers.IntegerField(min_value=1, max_value=10, required=False, default=4)
    having = serializers.ListField(
        child=serializers.IntegerField(min_value=1),
        required=False,
        default=list,
        max_length=500,
        help_text="Items that the caller has already and does not want again.",
    )
    skipped = serializers.BooleanField(required=False, default=False, help_text="Also rows that you passed over.")


class ReviewItemSerializer(serializers.Serializer):
    """A row to look at. What others have said of it is not told."""

    id = serializers.IntegerField()
    position = serializers.IntegerField()
    held_until = serializers.DateTimeField()
    findings = serializers.ListField(child=serializers.CharField(), help_text="Codes of what was found in it.")
    row = RowSerializer()


class DecideItemSerializer(StrictSerializer):
    verdict = serializers.ChoiceField(choices=VERDICTS)
    answer = serializers.CharField(
        required=False, default="", allow_blank=True, trim_whitespace=False, help_text="Of a fix: as it should be."
    )
    reason = serializers.CharField(required=False, default="", allow_blank=True, help_text="Of a rejection: why.")
    comment = serializers.CharField(required=False, default="", allow_blank=True)
    seconds = serializers.FloatField(
        required=False, default=None, allow_null=True, min_value=0, help_text="Only used where the server saw no more."
    )
    showing = serializers.IntegerField(
        required=False, default=None, allow_null=True, min_value=1, help_text="The item that is looked at now."
    )


class RowDecisionSerializer(StrictModelSerializer):
    reviewer = serializers.EmailField(source="reviewer.email", read_only=True)

    class Meta:
        model = ReviewDecision
        fields = ["item", "reviewer", "verdict", "answer", "reason", "comment", "seconds", "decided_at"]
        read_only_fields = fields


class ShownSerializer(serializers.Serializer):
    held = serializers.ListField(child=serializers.IntegerField(), help_text="Items that are still yours.")


class UndoneSerializer(serializers.Serializer):
    undone = serializers.BooleanField()


class RuleSerializer(StrictSerializer):
    verdict = serializers.ChoiceField(choices=RULINGS)
    answer = serializers.CharField(required=False, default="", allow_blank=True, trim_whitespace=False)
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=300)


class RulingSerializer(StrictModelSerializer):
    by = serializers.EmailField(source="by.email", read_only=True)

    class Meta:
        model = ReviewRuling
        fields = ["item", "verdict", "answer", "reason", "by", "at"]
        read_only_fields = fields


class DisputeSerializer(serializers.Serializer):
    item = serializers.IntegerField()
    row = serializers.IntegerField()
    decisions = RowDecisionSerializer(many=True)


class PersonProgressSerializer(serializers.Serializer):
    email = serializers.EmailField()
    done = serializers.IntegerField()
    left = serializers.IntegerField(allow_null=True)
    counts = serializers.DictField(child=serializers.IntegerField())
    seconds = serializers.FloatField()
    rows_an_hour = serializers.FloatField(allow_null=True)
    median_seconds = serializers.FloatField(allow_null=True)


class ReviewAgreementSerializer(serializers.Serializer):
    pairs = serializers.IntegerField()
    same = serializers.IntegerField()
    kappa = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True, help_text="Lower end of the 95 % interval.")
    high = serializers.FloatField(allow_null=True)
    reading = serializers.CharField()
    verdicts = serializers.ListField(child=serializers.CharField())
    table = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField()), help_text="First look by second look."
    )


class ReviewProgressSerializer(serializers.Serializer):
    rows = serializers.IntegerField()
    rows_done = serializers.IntegerField()
    looks = serializers.IntegerField()
    looks_done = serializers.IntegerField()
    waiting_for_you = serializers.IntegerField()
    seconds = serializers.FloatField()
    seconds_left = serializers.FloatField(allow_null=True)
    cost = serializers.DecimalField(max_digits=14, decimal_places=6)
    currency = serializers.CharField()
    became = serializers.DictField(child=serializers.IntegerField())
    people = PersonProgressSerializer(many=True)
    agreement = ReviewAgreementSerializer()
