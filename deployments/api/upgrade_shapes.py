"""What the API says about upgrades, and what it takes."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from deployments import upgrading
from deployments.domain.upgrades import LEAST_MARGIN, MARGIN, MOST_MARGIN, OUTCOMES, STEPS, Part
from deployments.models import Succession, Upgrade
from deployments.selectors import reports
from projects.api.serializers import StrictSerializer
from projects.models.jobs import STATES

NUMBER: dict[str, Any] = {"min_value": 1, "max_value": 2**63 - 1}


class SuccessionSerializer(serializers.ModelSerializer):
    declared_by = serializers.EmailField(source="declared_by.email")

    class Meta:
        model = Succession
        fields = ["id", "old", "new", "declared_by", "created_at"]
        read_only_fields = fields


class NewSuccessionSerializer(StrictSerializer):
    """One base of the project follows another."""

    old = serializers.IntegerField(**NUMBER)
    new = serializers.IntegerField(**NUMBER)


class UpgradePairSerializer(serializers.Serializer):
    """An older base that adapters stand on, and the newest that follows it."""

    old = serializers.IntegerField(source="old.pk")
    old_name = serializers.CharField(source="old.name")
    new = serializers.IntegerField(source="new.pk")
    new_name = serializers.CharField(source="new.name")
    adapters = serializers.IntegerField()
    live = serializers.IntegerField(help_text="Slots that run one of them.")
    untouched = serializers.IntegerField(help_text="Adapters that no order of these two has taken up.")
    latest = serializers.IntegerField(source="latest.pk", allow_null=True, default=None)
    ends_on = serializers.DateField(source="ending.date", allow_null=True, default=None)


class UpgradeEstimateSerializer(serializers.Serializer):
    """What one part may take. Nothing but `why_not` or `there` where it cannot or need not be done."""

    p50 = serializers.FloatField(required=False, help_text="Seconds.")
    p90 = serializers.FloatField(required=False, help_text="Seconds.")
    money50 = serializers.CharField(required=False)
    money90 = serializers.CharField(required=False)
    source = serializers.ChoiceField(  # type: ignore[assignment]
        ["same", "measured", "formula", "projection"], required=False
    )
    why_not = serializers.CharField(required=False)
    there = serializers.BooleanField(required=False)


class StepPlanSerializer(serializers.Serializer):
    """One step for all adapters of the old base."""

    step = serializers.ChoiceField(STEPS)
    adapters = serializers.IntegerField(help_text="For which something is to be done.")
    there = serializers.IntegerField()
    cannot = serializers.IntegerField()
    seconds = serializers.FloatField(source="sum.p50")
    p50 = serializers.DecimalField(max_digits=14, decimal_places=6, source="sum.money50")
    p90 = serializers.DecimalField(max_digits=14, decimal_places=6, source="sum.money90", allow_null=True)
    fits = serializers.BooleanField(help_text="Whether the month has as much left.")


class PlannedAdapterSerializer(serializers.Serializer):
    adapter = serializers.IntegerField()
    name = serializers.CharField()
    live = serializers.ListField(child=serializers.CharField(), help_text="Slots that run it.")
    deployments = serializers.IntegerField()
    evaluations = serializers.IntegerField(help_text="In the last 90 days.")
    verdict = serializers.CharField()
    outcome = serializers.ChoiceField(OUTCOMES)
    why = serializers.CharField()
    golden = serializers.IntegerField(allow_null=True)
    probe = UpgradeEstimateSerializer()
    evaluate = UpgradeEstimateSerializer()
    retrain = UpgradeEstimateSerializer()


class UpgradePlanSerializer(serializers.Serializer):
    """Adapters of the old base, what is used most first, with what each step would take."""

    old = serializers.IntegerField()
    new = serializers.IntegerField()
    follows = serializers.BooleanField(help_text="Orders are taken only where the new one follows the old.")
    under_way = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField()
    steps = StepPlanSerializer(many=True)
    adapters = PlannedAdapterSerializer(many=True)


class ArmSerializer(serializers.Serializer):
    mean = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class AgainstSerializer(serializers.Serializer):
    """Held against the old adapter on the old base, over the same golden rows; shares from 0 to 1."""

    n = serializers.IntegerField()
    old = ArmSerializer()
    new = ArmSerializer()
    difference = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class ReportBaseSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    fingerprint = serializers.CharField()


class ReplacementSerializer(serializers.Serializer):
    adapter = serializers.IntegerField()
    name = serializers.CharField()


class ReportLineSerializer(serializers.Serializer):
    adapter = serializers.IntegerField()
    name = serializers.CharField()
    live = serializers.ListField(child=serializers.CharField())
    outcome = serializers.ChoiceField(OUTCOMES)
    why = serializers.CharField()
    verdict = serializers.CharField()
    codes = serializers.ListField(child=serializers.CharField())
    drift = ArmSerializer(allow_null=True, help_text="Nats a token.")
    golden = serializers.CharField(allow_blank=True)
    carried = AgainstSerializer(allow_null=True)
    retrained = AgainstSerializer(allow_null=True)
    replacement = ReplacementSerializer(allow_null=True)
    evaluations = serializers.DictField(child=serializers.IntegerField(allow_null=True))
    probe = serializers.IntegerField(allow_null=True)
    run = serializers.IntegerField(allow_null=True)
    cost = serializers.CharField()


class UpgradeReportSerializer(serializers.Serializer):
    """What survived, what came back, what was lost, and what nobody knows."""

    old = ReportBaseSerializer()
    new = ReportBaseSerializer()
    margin = serializers.FloatField()
    counts = serializers.DictField(child=serializers.IntegerField())
    headline = serializers.CharField()
    cost = serializers.CharField()
    currency = serializers.CharField()
    adapters = ReportLineSerializer(many=True)


class NewUpgradeSerializer(StrictSerializer):
    """Steps for adapters of the old base; no `adapters` means all of them."""

    old = serializers.IntegerField(**NUMBER)
    new = serializers.IntegerField(**NUMBER)
    steps = serializers.ListField(child=serializers.ChoiceField(STEPS), min_length=1, max_length=3)
    adapters = serializers.ListField(
        child=serializers.IntegerField(**NUMBER), required=False, allow_null=True, default=None, max_length=1000
    )
    reason = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=2000,
        help_text="Answers for using the adapters on the new version; needed to evaluate.",
    )
    golden = serializers.IntegerField(
        **NUMBER, required=False, allow_null=True, default=None, help_text="For adapters that nobody has judged."
    )
    margin = serializers.FloatField(min_value=LEAST_MARGIN, max_value=MOST_MARGIN, default=MARGIN)
    only_lost = serializers.BooleanField(default=True, help_text="Retrain only what does not survive as it is.")
    at_once = serializers.IntegerField(min_value=1, max_value=16, default=4)
    budget_reason = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=2000,
        help_text="Asks the owners for a yes when the month has too little left: the order is then `held`.",
    )


class UpgradeSerializer(serializers.ModelSerializer):
    state = serializers.ChoiceField(STATES)
    steps = serializers.ListField(child=serializers.ChoiceField(STEPS))
    created_by = serializers.EmailField(source="created_by.email")
    started_by = serializers.EmailField(source="started_by.email", allow_null=True, default=None)
    headline = serializers.SerializerMethodField(help_text="The report in a sentence, once it is over.")
    p90 = serializers.SerializerMethodField(help_text="What was held for it.")

    class Meta:
        model = Upgrade
        fields = [
            "id", "old", "new", "steps", "only_lost", "margin", "reason", "at_once", "state", "waiting", "p90",
            "headline", "error_code", "error_message", "created_by", "started_by", "created_at", "started_at",
            "finished_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_headline(self, upgrade: Upgrade) -> str:
        return str(upgrade.result.get("headline", ""))

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_p90(self, upgrade: Upgrade) -> str | None:
        return upgrade.projection.get("p90")


class UpgradeNoteSerializer(serializers.Serializer):
    code = serializers.CharField()
    text = serializers.CharField()


class UpgradePartSerializer(serializers.Serializer):
    """One part of one adapter: the number and the state of its work, or why there is none."""

    part = serializers.ChoiceField([part.value for part in Part])
    work = serializers.IntegerField(allow_null=True, help_text="Number of an evaluation, a probe or a run.")
    state = serializers.CharField(allow_blank=True)
    asked = serializers.BooleanField(help_text="Started by this order; else it was there.")
    note = UpgradeNoteSerializer(allow_null=True)


class UpgradeItemSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    adapter = serializers.IntegerField()
    parts = UpgradePartSerializer(many=True)
    cost = serializers.CharField()


class UpgradeDetailSerializer(UpgradeSerializer):
    items = serializers.SerializerMethodField()
    cost = serializers.SerializerMethodField()

    class Meta(UpgradeSerializer.Meta):
        fields = [*UpgradeSerializer.Meta.fields, "items", "cost"]
        read_only_fields = fields

    @extend_schema_field(UpgradeItemSerializer(many=True))
    def get_items(self, upgrade: Upgrade) -> Any:
        items = upgrading.items_of(upgrade)
        spent = reports.spent(items)
        return UpgradeItemSerializer([_item(upgrade, item, spent) for item in items], many=True).data

    def get_cost(self, upgrade: Upgrade) -> str:
        spent = reports.spent(upgrading.items_of(upgrade))
        return str(sum(amount for parts in spent.values() for amount in parts.values()))


def _item(upgrade: Upgrade, item: Any, spent: reports.Spent) -> dict[str, Any]:
    parts = [
        {
            "part": part.value,
            "work": getattr(item, f"{part.value}_id"),
            "state": work.state if (work := item.work(part)) is not None else "",
            "asked": part in item.asked,
            "note": item.notes.get(part),
        }
        for part in upgrade.parts
    ]
    cost = sum(spent.get(item.adapter_id, {}).values())
    return {"number": item.number, "adapter": item.adapter_id, "parts": parts, "cost": str(cost)}
