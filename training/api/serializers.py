"""What the API says about bases, runs and adapters, and what it takes."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from projects.api.serializers import StrictSerializer
from projects.domain.errors import Invalid
from projects.domain.turns import Priority
from projects.selectors import queue
from training import selectors
from training.api.decision_shapes import DecisionReasonField
from training.api.durable_shapes import DegradedSerializer, FailureSerializer
from training.api.validation_shapes import ValidationSerializer, validation_of
from training.api.watched import Watched
from training.domain import recipe as recipes
from training.domain.failures import shorten
from training.domain.matching import PROOFS
from training.domain.recipe import KNOBS, Knob
from training.models import Adapter, Run

JOB_FIELDS = ["state", "progress", "error_code", "error_message", "queued_at", "started_at", "finished_at"]


class TrainingProgressSerializer(serializers.Serializer):
    """How far a running job is; empty before it says so."""

    phase = serializers.CharField(required=False, allow_null=True)
    done = serializers.FloatField(required=False, allow_null=True)
    total = serializers.FloatField(required=False, allow_null=True)
    left = serializers.FloatField(required=False, allow_null=True, help_text="Seconds, where that can be told.")


def _knob_field(knob: Knob) -> serializers.Field:
    """The shape for the description; ranges are checked by the domain, which gives the same words as the page."""
    common: dict[str, Any] = {"required": False, "help_text": knob.help}
    match knob.kind:
        case "bool":
            return serializers.BooleanField(**common)
        case "choice":
            return serializers.ChoiceField([name for name, _ in knob.choices], **common)
        case "modules":
            return serializers.ListField(
                child=serializers.ChoiceField([recipes.ALL_LINEAR, *recipes.MODULES]),
                min_length=1,
                max_length=40,
                **common,
            )
        case "int":
            return serializers.IntegerField(min_value=int(knob.low), max_value=int(knob.high), **common)
    return serializers.FloatField(min_value=knob.low, max_value=knob.high, **common)


class ReadByTheDomain(StrictSerializer):
    """The fields are for the description; a value is refused with the code and words that the page has for it."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            for name in recipes.KNOB.keys() & data.keys():
                try:
                    recipes.check(recipes.KNOB[name], data[name])
                except Invalid as refused:
                    detail = serializers.ErrorDetail(refused.message, refused.code)
                    raise serializers.ValidationError({name: detail}) from refused
        return super().to_internal_value(data)


RecipeSerializer: Any = type(
    "RecipeSerializer",
    (ReadByTheDomain,),
    {"__doc__": "Settings of a run; what is left out takes its default."}
    | {knob.name: _knob_field(knob) for knob in KNOBS},
)


class BandSerializer(serializers.Serializer):
    p10 = serializers.FloatField()
    p50 = serializers.FloatField()
    p90 = serializers.FloatField()


class MoneyBandSerializer(serializers.Serializer):
    p10 = serializers.DecimalField(max_digits=14, decimal_places=4)
    p50 = serializers.DecimalField(max_digits=14, decimal_places=4)
    p90 = serializers.DecimalField(max_digits=14, decimal_places=4)


class ProjectionSerializer(serializers.Serializer):
    """What a run is expected to take, as P10, P50 and P90. Of runs started with older versions some is not known."""

    device = serializers.CharField()
    card = serializers.CharField(required=False, allow_blank=True)
    rows = serializers.IntegerField()
    steps = serializers.IntegerField()
    tokens = serializers.IntegerField()
    trained_tokens = serializers.IntegerField()
    padding = serializers.FloatField(required=False, help_text="Share of the computed tokens that is padding.")
    seconds = BandSerializer()
    money = MoneyBandSerializer()
    currency = serializers.CharField()
    token_band = BandSerializer(required=False)
    memory_bytes = BandSerializer()
    capacity_bytes = serializers.IntegerField(required=False, help_text="Memory of the device; 0: not known.")
    disk_bytes = BandSerializer(required=False)
    host_bytes = serializers.IntegerField(
        required=False, help_text="Main memory while the base is read, where the work is done on cards; else 0."
    )
    rate = serializers.FloatField(help_text="Tokens a second while it trains.")
    source = serializers.CharField(help_text="“rehearsed”, “measured”, “scaled” or “formula”.")  # type: ignore[assignment]
    level = serializers.CharField(required=False, help_text="How alike what was measured is.")
    why = serializers.CharField()
    stages = serializers.DictField(child=serializers.FloatField(), required=False, help_text="Seconds by stage.")
    saves = serializers.IntegerField(required=False, help_text="Checkpoints on the way.")


class WaitingSerializer(serializers.Serializer):
    """Why a run does not run: `ahead` jobs go first; a slot is expected to be free in `free_in` seconds."""

    code = serializers.CharField()
    reason = serializers.CharField(source="text")
    ahead = serializers.IntegerField(allow_null=True)
    free_in = serializers.FloatField(allow_null=True)


PRIORITIES = [(one.name.lower(), one.name.title()) for one in Priority]


class PrioritySerializer(StrictSerializer):
    """`high` is for owners: it goes ahead of every other project."""

    priority = serializers.ChoiceField(PRIORITIES)


class RunSerializer(serializers.ModelSerializer):
    created_by = serializers.EmailField(source="created_by.email")
    started_by = serializers.EmailField(source="started_by.email", allow_null=True, default=None)
    adapter = serializers.IntegerField(source="adapter.pk", allow_null=True, default=None)
    recipe = RecipeSerializer()
    progress = TrainingProgressSerializer()
    priority = serializers.SerializerMethodField()
    waiting = serializers.SerializerMethodField()

    def get_priority(self, run: Run) -> str:
        return Priority(max(-1, min(1, run.priority))).name.lower()

    @extend_schema_field(WaitingSerializer(allow_null=True))
    def get_waiting(self, run: Run) -> dict[str, Any] | None:
        """Null while it does not wait. A list has looked at the queue once for all of its runs."""
        why = getattr(run, "waiting", None) if hasattr(run, "waiting") else queue.reason(run)
        return WaitingSerializer(why).data if why else None

    class Meta:
        model = Run
        fields = [
            "id", "name", "method", "base", "dataset_version", "validation_version", "parent_adapter", "recipe",
            "device", "total_steps", "step", "tokens_seen", "checkpoint_step", "last_loss", "tokens_per_second",
            "seconds", "cost", "sweep", "adapter", "attempt", "infra_failures",
            "priority", "waiting", "place", "created_by", "started_by", "created_at", *JOB_FIELDS,
        ]  # fmt: skip
        read_only_fields = fields


class RunDetailSerializer(Watched, RunSerializer):
    """A run with its frozen spec, its projection and what it measured."""

    error_detail = serializers.SerializerMethodField(help_text="The traceback or the end of the log.")
    failure = serializers.SerializerMethodField()
    degraded = DegradedSerializer(help_text="What the run works without; empty while all is well.")
    validation = serializers.SerializerMethodField()

    def get_error_detail(self, run: Run) -> str:
        return shorten(run.error_detail)

    @extend_schema_field(FailureSerializer(allow_null=True))
    def get_failure(self, run: Run) -> dict[str, Any] | None:
        """What happened, where, what it cost and what to do next; null unless the run failed."""
        found = selectors.trouble(run, selectors.attempts(run, timezone.now()))
        return FailureSerializer(found).data if found else None

    @extend_schema_field(ValidationSerializer(allow_null=True))
    def get_validation(self, run: Run) -> dict[str, Any] | None:
        """How it does on the rows that it does not learn from; null where there are none."""
        return validation_of(run)

    class Meta(RunSerializer.Meta):
        fields = [
            *RunSerializer.Meta.fields, "validation", "spec", "projection", "measured", "report", "launched_with",
            "error_detail", "failure", "degraded", "stop_seconds", "grace_seconds", "cards", "limit_share",
        ]  # fmt: skip
        read_only_fields = fields


class NewRunSerializer(StrictSerializer):
    name = serializers.CharField(max_length=120)
    base = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    dataset_version = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    parent = serializers.IntegerField(  # type: ignore[assignment]
        min_value=1, max_value=2**63 - 1, required=False, allow_null=True, default=None
    )
    validation_version = serializers.IntegerField(
        min_value=1,
        max_value=2**63 - 1,
        required=False,
        allow_null=True,
        default=None,
        help_text="Rows to look at the run with, which it does not learn from: another version of a training set.",
    )
    recipe = RecipeSerializer(required=False)
    base_decision_reason = DecisionReasonField()


class StartRunSerializer(StrictSerializer):
    """`cut` is the decision about rows that are too long, when the recipe has not made it."""

    cut = serializers.ChoiceField(["refuse", "drop", "cut"], required=False, allow_null=True, default=None)
    base_decision_reason = DecisionReasonField()
    leak_reason = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=2000,
        help_text="Why rows of golden sets are trained on.",
    )
    budget_reason = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=2000,
        help_text="Asks the owners for a yes when the month has too little left: the run is then `held`.",
    )


class RetryRunSerializer(StrictSerializer):
    start_at = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        min_value=0,
        max_value=2**31 - 1,
        help_text="The step of a whole checkpoint to go on from; 0 begins anew; left out, the newest whole one.",
    )
    budget_reason = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=2000,
        help_text="Asks the owners for a yes when the month has too little left.",
    )


class LogSerializer(serializers.Serializer):
    text = serializers.CharField(allow_blank=True)


class FileSerializer(serializers.Serializer):
    sha256 = serializers.CharField()
    size = serializers.IntegerField()


class ManifestSerializer(serializers.Serializer):
    files = serializers.DictField(child=FileSerializer())
    digest = serializers.CharField()


class AdapterFindingSerializer(serializers.Serializer):
    """Something about an adapter's files that people should know."""

    code = serializers.CharField()
    text = serializers.CharField()
    where = serializers.CharField(allow_blank=True)
    refuses = serializers.BooleanField()


class AdapterSerializer(serializers.ModelSerializer):
    manifest = ManifestSerializer()
    base_fingerprint = serializers.CharField(source="base.fingerprint")
    origin = serializers.ChoiceField(["run", "import"])
    proof = serializers.ChoiceField(PROOFS)
    findings = AdapterFindingSerializer(many=True)

    class Meta:
        model = Adapter
        fields = [
            "id", "name", "origin", "run", "imported", "base", "base_fingerprint", "proof", "dataset_version", "rank",
            "alpha", "size_bytes", "digest", "manifest", "findings", "created_at",
        ]  # fmt: skip
        read_only_fields = fields
