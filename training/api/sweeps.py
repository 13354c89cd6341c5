"""Sweeps over the API: the same services as the pages."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.response import Response

from datasets_app.models import DatasetVersion
from projects.api.serializers import EmptySerializer, ReasonSerializer, StrictSerializer
from projects.api.views import Idempotent, ProjectViewSet
from training import selectors, services
from training.api.durable import checked
from training.api.serializers import RecipeSerializer, RunDetailSerializer
from training.api.views import one_of
from training.domain.knobs import KNOBS
from training.domain.sweeps.space import DATA, FIXED, MOST_RUNS, MOST_VALUES
from training.models import STOPPING, STRATEGIES, Run, Sweep

NUMBER: dict[str, Any] = {"min_value": 1, "max_value": 2**63 - 1}
SWEPT = [DATA, *(knob.name for knob in KNOBS if knob.name not in FIXED)]


class DimensionSerializer(StrictSerializer):
    """A setting with the values it takes, or the range it is drawn from (random and TPE only)."""

    name = serializers.ChoiceField(SWEPT)
    values = serializers.ListField(  # type: ignore[assignment]
        child=serializers.JSONField(), required=False, min_length=2, max_length=MOST_VALUES
    )
    low = serializers.FloatField(required=False)
    high = serializers.FloatField(required=False)
    log = serializers.BooleanField(required=False, help_text="Every magnitude is drawn as often.")


class SweepMoneySerializer(serializers.Serializer):
    """In the project's currency."""

    spent = serializers.DecimalField(max_digits=14, decimal_places=6)
    held = serializers.DecimalField(max_digits=14, decimal_places=6)
    saved = serializers.DecimalField(max_digits=14, decimal_places=6, help_text="By stopping early, about.")


class StoppedSerializer(serializers.Serializer):
    """Why a run was stopped early, at which share of its steps, and about what that saved."""

    reason = serializers.CharField()
    share = serializers.FloatField()
    at = serializers.DateTimeField()
    saved = serializers.DecimalField(max_digits=14, decimal_places=6)


class TrialSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    params = serializers.JSONField(help_text="Setting → value.")
    run = serializers.IntegerField(source="run_id", allow_null=True)
    state = serializers.SerializerMethodField()
    loss = serializers.FloatField(source="run.last_loss", allow_null=True, default=None)
    refused = serializers.CharField(allow_blank=True, help_text="Why it was not started.")
    stopped = serializers.SerializerMethodField()

    def get_state(self, trial: Any) -> str:
        return trial.run.state if trial.run else "refused" if trial.refused else "deleted"

    @extend_schema_field(StoppedSerializer(allow_null=True))
    def get_stopped(self, trial: Any) -> dict[str, Any] | None:
        return StoppedSerializer(trial.stopped).data if trial.stopped else None


class RankedSerializer(serializers.Serializer):
    run = serializers.IntegerField()
    value = serializers.FloatField()


class SweepProposalSerializer(serializers.Serializer):
    """The run that is proposed; `tied` are those it cannot be told apart from, and `clear` says there is no other."""

    winner = serializers.IntegerField()
    tied = serializers.ListField(child=serializers.IntegerField())
    clear = serializers.BooleanField()
    headline = serializers.CharField()
    reason = serializers.CharField()
    note = serializers.CharField(allow_blank=True)
    measure = serializers.CharField()
    percent = serializers.BooleanField(
        help_text="The measure is a share that should rise; else a loss that should fall."
    )
    n = serializers.IntegerField(help_text="Golden rows, steps or looks that it rests on.")
    order = RankedSerializer(many=True)


class SweepProjectionSerializer(serializers.Serializer):
    """What all runs may take together, frozen at the start."""

    runs = serializers.IntegerField()
    money = serializers.DictField(child=serializers.CharField(allow_null=True), help_text="p50 and p90.")
    dearest = serializers.CharField(allow_null=True, help_text="P90 of the dearest run.")
    seconds = serializers.FloatField()
    memory_bytes = serializers.FloatField()
    capacity_bytes = serializers.FloatField()
    currency = serializers.CharField()
    exact = serializers.BooleanField(help_text="Every point was known; else each counts as the dearest.")


class SweepSerializer(serializers.ModelSerializer):
    created_by = serializers.EmailField(source="created_by.email")
    started_by = serializers.EmailField(source="started_by.email", allow_null=True, default=None)
    recipe = RecipeSerializer()
    space = DimensionSerializer(many=True)
    projection = serializers.SerializerMethodField()
    result = serializers.SerializerMethodField()

    @extend_schema_field(SweepProjectionSerializer(allow_null=True))
    def get_projection(self, sweep: Sweep) -> dict[str, Any] | None:
        return SweepProjectionSerializer(sweep.projection).data if sweep.projection else None

    @extend_schema_field(SweepProposalSerializer(allow_null=True))
    def get_result(self, sweep: Sweep) -> dict[str, Any] | None:
        return SweepProposalSerializer(sweep.result).data if sweep.result else None

    class Meta:
        model = Sweep
        fields = [
            "id", "name", "method", "base", "dataset_version", "golden", "validation_version", "recipe", "space",
            "strategy", "runs_wanted", "at_once", "seed", "stopping", "grace", "state", "note", "projection", "result",
            "error_code", "error_message", "created_by", "started_by", "created_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class SweepDetailSerializer(SweepSerializer):
    trials = serializers.SerializerMethodField()
    money = serializers.SerializerMethodField()

    @extend_schema_field(TrialSerializer(many=True))
    def get_trials(self, sweep: Sweep) -> Any:
        return TrialSerializer(selectors.trials(sweep), many=True).data

    @extend_schema_field(SweepMoneySerializer)
    def get_money(self, sweep: Sweep) -> Any:
        return SweepMoneySerializer(selectors.money_of(sweep, selectors.trials(sweep), timezone.now())).data

    class Meta(SweepSerializer.Meta):
        fields = [*SweepSerializer.Meta.fields, "trials", "money"]
        read_only_fields = fields


class NewSweepSerializer(StrictSerializer):
    """A grid takes every combination of values; random and TPE take `runs` points of values and ranges."""

    name = serializers.CharField(max_length=100)
    base = serializers.IntegerField(**NUMBER)
    dataset_version = serializers.IntegerField(**NUMBER)
    recipe = RecipeSerializer(required=False)
    space = serializers.ListField(child=DimensionSerializer(), min_length=1, max_length=6)
    strategy = serializers.ChoiceField(STRATEGIES, default="grid")
    runs = serializers.IntegerField(min_value=0, max_value=MOST_RUNS, default=0, help_text="0 with a grid: all.")
    at_once = serializers.IntegerField(min_value=1, max_value=16, default=2)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)
    stopping = serializers.ChoiceField(STOPPING, default="none")
    grace = serializers.FloatField(min_value=0.05, max_value=0.9, default=0.3)
    golden = serializers.IntegerField(**NUMBER, required=False, allow_null=True, default=None)
    validation_version = serializers.IntegerField(
        **NUMBER,
        required=False,
        allow_null=True,
        default=None,
        help_text="Rows that every run is looked at with; without a golden set their loss judges.",
    )


class StartSweepSerializer(StrictSerializer):
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
        help_text="Asks the owners for a yes when the month has too little left: the sweep is then `held`.",
    )


class SweepViewSet(Idempotent, ListModelMixin, RetrieveModelMixin, ProjectViewSet):
    lookup_value_converter = "int"
    serializer_class = SweepSerializer
    queryset = Sweep.objects.none()
    services = {
        "create": services.create_sweep,
        "start": services.start_sweep,
        "cancel": services.cancel_sweep,
        "repeat": services.repeat_winner,
        "destroy": services.delete_sweep,
    }

    def get_queryset(self) -> QuerySet[Sweep]:
        return selectors.sweeps(self.project)

    @extend_schema(responses={200: SweepDetailSerializer})
    def retrieve(self, request: Any, **kwargs: Any) -> Response:
        """One sweep with its trials, its money and, once there is one, the run it proposes."""
        return Response(SweepDetailSerializer(self.get_object()).data)

    @extend_schema(request=NewSweepSerializer, responses={201: SweepDetailSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Plan a sweep. Every point is checked; nothing is spent before it is started."""
        fields = checked(NewSweepSerializer, request)

        def make() -> Response:
            versions = DatasetVersion.objects.filter(dataset__project=self.project)
            given = fields | {
                "base": one_of(self.project.bases, fields["base"], "base"),
                "version": one_of(versions, fields["dataset_version"], "dataset_version"),
                "golden": one_of(versions, fields["golden"], "golden"),
                "validation": one_of(versions, fields["validation_version"], "validation_version"),
                "recipe": fields.get("recipe", {}),
            }
            del given["dataset_version"], given["validation_version"]
            return self.shown(self.services["create"](self.project, by=request.user, **given), 201)

        return self.create_once(request, make)

    @extend_schema(request=StartSweepSerializer, responses={202: SweepDetailSerializer})
    @action(detail=True, methods=["post"])
    def start(self, request: Any, **kwargs: Any) -> Response:
        """Hold what all of its runs may cost, and begin. 409 `over_budget`: give a `budget_reason`."""
        fields = checked(StartSweepSerializer, request)
        return self.shown(self.services["start"](self.get_object(), by=request.user, **fields), 202)

    @extend_schema(request=ReasonSerializer, responses={202: SweepDetailSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Any, **kwargs: Any) -> Response:
        """End the sweep with all of its runs under way; what has ended stays."""
        fields = checked(ReasonSerializer, request)
        return self.shown(self.services["cancel"](self.get_object(), by=request.user, **fields), 202)

    @extend_schema(request=EmptySerializer, responses={201: RunDetailSerializer})
    @action(detail=True, methods=["post"])
    def repeat(self, request: Any, **kwargs: Any) -> Response:
        """A draft like the proposed run, with another seed."""
        checked(EmptySerializer, request)
        run: Run = self.services["repeat"](self.get_object(), by=request.user)
        return Response(RunDetailSerializer(selectors.runs(self.project).get(pk=run.pk)).data, status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Delete a sweep that is not under way; its runs stay."""
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def shown(self, sweep: Sweep, code: int) -> Response:
        return Response(SweepDetailSerializer(self.get_queryset().get(pk=sweep.pk)).data, status=code)
