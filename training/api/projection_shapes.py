"""What the API says about projections, rehearsals, and how good projections have been."""

from rest_framework import serializers

from projects.api.serializers import StrictSerializer
from training.api.serializers import JOB_FIELDS, BandSerializer, MoneyBandSerializer, RecipeSerializer
from training.api.serializers import TrainingProgressSerializer as ProgressSerializer
from training.models import ProjectionRecord, Rehearsal


class RehearsalCostSerializer(serializers.Serializer):
    """What the rehearsal itself was expected to take."""

    seconds = BandSerializer()
    money = MoneyBandSerializer()
    steps = serializers.IntegerField()


class LongestSerializer(serializers.Serializer):
    row = serializers.IntegerField()
    tokens = serializers.IntegerField()


class MisfitSerializer(serializers.Serializer):
    """The row that is too long, and what would fit; 0 where nothing was found in time."""

    row = serializers.IntegerField(allow_null=True)
    tokens = serializers.IntegerField(allow_null=True)
    rows = serializers.IntegerField(help_text="Rows at once that did not fit.")
    fits_rows = serializers.IntegerField(help_text="The most rows of this length that fit.")
    fits_tokens = serializers.IntegerField(help_text="The longest rows of which so many fit.")
    limit = serializers.IntegerField(allow_null=True, help_text="Bytes that there were.")


class FindingsSerializer(serializers.Serializer):
    """What it measured; a rehearsal that does not fit has only `misfit`."""

    measured_steps = serializers.IntegerField(required=False)
    memory_bytes = serializers.IntegerField(required=False)
    limit = serializers.IntegerField(required=False, allow_null=True)
    capacity = serializers.IntegerField(required=False)
    longest = LongestSerializer(required=False)
    save_bytes = serializers.IntegerField(required=False)
    save_seconds = serializers.FloatField(required=False)
    adapter_bytes = serializers.IntegerField(required=False)
    stages = serializers.DictField(child=serializers.FloatField(), required=False)
    points = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField()),
        required=False,
        help_text="Steps alike in size: batches, tokens computed, rows × length², seconds each, how many.",
    )
    misfit = MisfitSerializer(required=False)


class RehearsalSerializer(serializers.ModelSerializer):
    asked_by = serializers.EmailField(source="asked_by.email")
    recipe = RecipeSerializer()
    progress = ProgressSerializer()
    projected = RehearsalCostSerializer()
    result = FindingsSerializer()
    fits = serializers.SerializerMethodField(help_text="Null until it is over.")

    class Meta:
        model = Rehearsal
        fields = [
            "id", "base", "dataset_version", "parent_adapter", "method", "recipe", "device", "device_name", "fits",
            "projected", "result", "asked_by", "created_at", *JOB_FIELDS,
        ]  # fmt: skip
        read_only_fields = fields

    def get_fits(self, rehearsal: Rehearsal) -> bool | None:
        if rehearsal.state == "succeeded":
            return True
        return False if rehearsal.error_code == "will_not_fit" else None


class NewRehearsalSerializer(StrictSerializer):
    base = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    dataset_version = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    parent = serializers.IntegerField(  # type: ignore[assignment]
        min_value=1, max_value=2**63 - 1, required=False, allow_null=True, default=None
    )
    recipe = RecipeSerializer(required=False)


class PredictedSerializer(BandSerializer):
    middle = serializers.FloatField(help_text="The guess before it was corrected by what past ones came to.")
    sigma = serializers.FloatField(help_text="The spread of its logarithm.")


class ProjectionRecordSerializer(serializers.ModelSerializer):
    predicted = serializers.DictField(child=PredictedSerializer())
    actual = serializers.DictField(child=serializers.FloatField())

    class Meta:
        model = ProjectionRecord
        fields = [
            "id", "run", "source", "level", "device", "device_name", "predicted", "actual", "whole", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class CoverageSerializer(serializers.Serializer):
    """How many past projections held; of all sources together where `source` is empty."""

    quantity = serializers.CharField()
    source = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    inside = serializers.IntegerField()
    of = serializers.IntegerField()
    share = serializers.FloatField()
    low = serializers.FloatField(help_text="95 % interval of the true share, by Wilson.")
    high = serializers.FloatField()
    bias = serializers.FloatField(help_text="Median of actual over predicted, less one.")
    width = serializers.FloatField(help_text="Median of P90 over P10.")
    verdict = serializers.ChoiceField(["few", "fair", "narrow", "wide"])


class DeviceRateSerializer(serializers.Serializer):
    device = serializers.CharField()
    card = serializers.CharField(allow_blank=True)
    architecture = serializers.CharField()
    parameters = serializers.IntegerField()
    method = serializers.CharField()
    packing = serializers.BooleanField()
    path = serializers.CharField()
    length = serializers.IntegerField(help_text="Typical rows have up to so many tokens.")
    devices = serializers.IntegerField(help_text="Cards of a run; tokens a second are those of all together.")
    runs = serializers.IntegerField()
    tokens_per_second = serializers.FloatField()


class CalibrationSerializer(serializers.Serializer):
    coverage = CoverageSerializer(many=True)
    rates = DeviceRateSerializer(many=True, help_text="Of the whole installation, without names.")
