"""What the API says about data as bases see it, and what it takes."""

from typing import Any

from rest_framework import serializers

from projects.api.serializers import StrictSerializer
from training.api.serializers import TrainingProgressSerializer
from training.domain.recipe import KNOB
from training.domain.tokens import LOSSES

LIMIT = KNOB["max_length"]
NUMBER: dict[str, Any] = {"min_value": 1, "max_value": 2**63 - 1}
LENGTH: dict[str, Any] = {"min_value": int(LIMIT.low), "max_value": int(LIMIT.high)}


class CountTokensSerializer(StrictSerializer):
    base = serializers.IntegerField(**NUMBER)


class AskTokensSerializer(CountTokensSerializer):
    max_length = serializers.IntegerField(required=False, default=LIMIT.default, **LENGTH)


class RenderRowSerializer(CountTokensSerializer):
    row = serializers.IntegerField(min_value=0, max_value=2**31 - 1)


class AskRowSerializer(AskTokensSerializer):
    row = serializers.IntegerField(min_value=0, max_value=2**31 - 1)


class DropLostSerializer(AskTokensSerializer):
    what = serializers.ChoiceField(list(LOSSES))
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=2000)


class BuildNumberSerializer(serializers.Serializer):
    """The build that makes the version."""

    build = serializers.IntegerField()


class JobStateSerializer(serializers.Serializer):
    """How far a worker is with it."""

    state = serializers.CharField()
    progress = TrainingProgressSerializer()
    error_code = serializers.CharField(allow_blank=True)
    error_message = serializers.CharField(allow_blank=True)


class HistogramSerializer(serializers.Serializer):
    """Rows by length: `edges` has one more entry than `counts`."""

    edges = serializers.ListField(child=serializers.IntegerField())
    counts = serializers.ListField(child=serializers.IntegerField())


class UnshowableSerializer(serializers.Serializer):
    """A row that the chat template refuses."""

    index = serializers.IntegerField()
    code = serializers.CharField()
    message = serializers.CharField()


class RemedySerializer(serializers.Serializer):
    """The limit that keeps every answer whole, and what it costs."""

    needed = serializers.IntegerField()
    needed_p99 = serializers.IntegerField()
    more_tokens = serializers.IntegerField()


def _rows() -> serializers.ListField:
    return serializers.ListField(child=serializers.IntegerField(), help_text="Numbers of the first of these rows.")


class TokenStatsSerializer(serializers.Serializer):
    """A version in tokens of a base under a limit of length."""

    limit = serializers.IntegerField()
    rows = serializers.IntegerField()
    tokens = serializers.IntegerField()
    trained_tokens = serializers.IntegerField()
    kept_tokens = serializers.IntegerField(help_text="Tokens per epoch within the limit.")
    kept_trained = serializers.IntegerField()
    trained_share = serializers.FloatField(help_text="Share of trained tokens in what is kept.")
    longest = serializers.IntegerField()
    shortest = serializers.IntegerField()
    median = serializers.IntegerField()
    p95 = serializers.IntegerField()
    p99 = serializers.IntegerField()
    histogram = HistogramSerializer()
    cut = serializers.IntegerField()
    cut_rows = _rows()
    answers_cut = serializers.IntegerField()
    answers_cut_rows = _rows()
    untrained = serializers.IntegerField()
    untrained_rows = _rows()
    unshowable = serializers.IntegerField()
    unshowable_rows = UnshowableSerializer(many=True)
    last_turn_only = serializers.IntegerField()
    remedy = RemedySerializer(allow_null=True)
    native = serializers.BooleanField(help_text="Counted natively; else with the tokenizer's own library.")
    why_slow = serializers.CharField(allow_blank=True)


class SeenSequenceSerializer(serializers.Serializer):
    """One sequence of a row: the row itself, or the chosen and the rejected answer with their prompt."""

    name = serializers.CharField(allow_blank=True)
    tokens = serializers.IntegerField()
    ids = serializers.ListField(child=serializers.IntegerField(), help_text="At most the first 20,000.")
    texts = serializers.ListField(child=serializers.CharField(allow_blank=True, trim_whitespace=False))
    trained = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField(), min_length=2, max_length=2),
        help_text="Trained stretches: first token, one past the last.",
    )
    special = serializers.ListField(child=serializers.IntegerField(), help_text="Places of special tokens.")
    trained_tokens = serializers.IntegerField()
    kept_trained = serializers.IntegerField()
    cut = serializers.IntegerField()
    verdict = serializers.CharField()


class RefusalOfTemplateSerializer(serializers.Serializer):
    """What the chat template, or the limit on it, said."""

    code = serializers.CharField()
    message = serializers.CharField()


class SeenRowSerializer(serializers.Serializer):
    """A row as a base sees it."""

    index = serializers.IntegerField()
    kind = serializers.CharField()
    turns = serializers.ListField(child=serializers.CharField())
    tools = serializers.IntegerField()
    max_length = serializers.IntegerField()
    sequences = SeenSequenceSerializer(many=True)
    refused = RefusalOfTemplateSerializer(allow_null=True)
