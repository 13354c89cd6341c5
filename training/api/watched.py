"""What the API says of a run as it is watched: its cards, and how near it is to their limit."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from training import selectors
from training.models import Run


class RunCardSerializer(serializers.Serializer):
    """One card of a run on several: use (0 to 1) and memory while it runs, the peak when it is over."""

    number = serializers.IntegerField()
    use = serializers.FloatField(allow_null=True)
    memory_bytes = serializers.FloatField(allow_null=True)
    peak_bytes = serializers.IntegerField(allow_null=True)


class Watched(serializers.Serializer):
    cards = serializers.SerializerMethodField()
    limit_share = serializers.SerializerMethodField()

    @extend_schema_field(RunCardSerializer(many=True))
    def get_cards(self, run: Run) -> list[dict[str, Any]]:
        """Of a run on several cards what each does and holds; else empty."""
        return list(RunCardSerializer(selectors.cards(run), many=True).data)

    def get_limit_share(self, run: Run) -> float | None:
        """Its tokens a second, of those that the products of the model alone would allow; null on a CPU."""
        return selectors.share_of_limit(run, run.tokens_per_second)
