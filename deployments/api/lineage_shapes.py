"""What the API says of the lineage."""

from rest_framework import serializers


class StaleSerializer(serializers.Serializer):
    """Why a node is stale: what is wrong, and with which node."""

    node = serializers.CharField()
    code = serializers.CharField(help_text="withdrawn, licence, contaminated or erased")
    reason = serializers.CharField()


class BriefSerializer(serializers.Serializer):
    id = serializers.CharField()
    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    state = serializers.CharField(allow_blank=True)


class NodeSerializer(BriefSerializer):
    url = serializers.CharField(allow_blank=True, help_text="Its page; empty of something that is missing")
    detail = serializers.DictField()
    stale = StaleSerializer(many=True)


class EdgeSerializer(serializers.Serializer):
    source = serializers.CharField()  # type: ignore[assignment]
    target = serializers.CharField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]


class LineageSerializer(serializers.Serializer):
    nodes = NodeSerializer(many=True)
    edges = EdgeSerializer(many=True)


class RelativeSerializer(BriefSerializer):
    how = serializers.CharField(allow_blank=True)


class LookedSerializer(NodeSerializer):
    """One node with its neighbours and how much lies above and below it."""

    missing = serializers.BooleanField(help_text="It is referred to and not there")
    cyclic = serializers.BooleanField(help_text="It is declared as its own ancestor")
    parents = RelativeSerializer(many=True)
    children = RelativeSerializer(many=True)
    ancestors = serializers.DictField(child=serializers.IntegerField(), help_text="How many, by kind")
    descendants = serializers.DictField(child=serializers.IntegerField(), help_text="How many, by kind")


class ImpactSerializer(serializers.Serializer):
    """Everything that descends from a node."""

    total = serializers.IntegerField()
    counts = serializers.DictField(child=serializers.IntegerField())
    live = BriefSerializer(many=True)
    nodes = BriefSerializer(many=True)


class HoldingSerializer(serializers.Serializer):
    version = serializers.IntegerField()
    name = serializers.CharField()
    rows = serializers.ListField(child=serializers.IntegerField())


class FedRowSerializer(ImpactSerializer):
    """Where a row stands and what it fed. Of unread versions it is not known; they count as if they held it."""

    holding = HoldingSerializer(many=True)
    free = serializers.ListField(child=serializers.CharField())
    unread = serializers.ListField(child=serializers.CharField())


class BesideLineSerializer(serializers.Serializer):
    name = serializers.CharField()
    first = serializers.CharField()
    second = serializers.CharField()
    same = serializers.BooleanField()


class BesideSectionSerializer(serializers.Serializer):
    title = serializers.CharField()
    differing = serializers.IntegerField()
    lines = BesideLineSerializer(many=True)


class MeasuredSerializer(serializers.Serializer):
    value = serializers.FloatField()
    difference = serializers.FloatField(help_text="Against its own base")
    low = serializers.FloatField()
    high = serializers.FloatField()
    n = serializers.IntegerField()


class ContestSerializer(serializers.Serializer):
    """Both against each other on the same golden rows; `clear` says whether one is better."""

    first = serializers.IntegerField(help_text="The adapter that scored higher")
    clear = serializers.BooleanField(source="is_clear")
    difference = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()


class BesideResultSerializer(serializers.Serializer):
    measure = serializers.CharField()
    first = MeasuredSerializer(allow_null=True)
    second = MeasuredSerializer(allow_null=True)
    contest = ContestSerializer(allow_null=True)


class BesideSerializer(serializers.Serializer):
    verdict = serializers.CharField()
    sections = BesideSectionSerializer(many=True)
    results = BesideResultSerializer(many=True)


class ProvSerializer(serializers.Serializer):
    """PROV-JSON, as its specification says."""

    prefix = serializers.DictField()
    entity = serializers.DictField(required=False)
    activity = serializers.DictField(required=False)
    used = serializers.DictField(required=False)
    wasGeneratedBy = serializers.DictField(required=False)
    wasDerivedFrom = serializers.DictField(required=False)
    wasInformedBy = serializers.DictField(required=False)
