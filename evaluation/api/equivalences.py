"""Derived models held against their adapter, over the API: the same services as the pages."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from datasets_app.models import DatasetVersion
from evaluation import selectors, services
from evaluation.api.compatibility import KEY, OfProject
from evaluation.api.serializers import ProgressSerializer
from evaluation.domain import equivalence
from evaluation.models import Equivalence
from projects.api import filters
from projects.api.serializers import EmptySerializer, ReasonSerializer, StrictSerializer
from projects.api.views import Idempotent
from projects.models import Project
from training import selectors as training
from training.models import Adapter, DerivedModel


class PairedScoreSerializer(serializers.Serializer):
    """Shares from 0 to 1 on the same rows; every mean and the difference with its 95 % interval."""

    n = serializers.IntegerField()
    adapter = serializers.FloatField()
    adapter_low = serializers.FloatField()
    adapter_high = serializers.FloatField()
    derived = serializers.FloatField()
    derived_low = serializers.FloatField()
    derived_high = serializers.FloatField()
    difference = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    gains = serializers.IntegerField()
    losses = serializers.IntegerField()
    p_value = serializers.FloatField(required=False)


class EquivalenceFiguresSerializer(serializers.Serializer):
    """Empty until it is over. `judgement` is of the grader that leads, by whose interval it is within the margin."""

    n = serializers.IntegerField(required=False)
    primary = serializers.CharField(required=False)
    margin = serializers.FloatField(required=False)
    graders = serializers.DictField(child=PairedScoreSerializer(), required=False)
    same_text = serializers.IntegerField(required=False, help_text="Rows on which both say the same, word for word.")
    left_out = serializers.IntegerField(required=False, help_text="Rows that are too long for the model.")
    judgement = serializers.ChoiceField(equivalence.JUDGEMENTS, required=False)


class EquivalenceVerdictSerializer(serializers.Serializer):
    judgement = serializers.ChoiceField(equivalence.JUDGEMENTS)
    headline = serializers.CharField()
    sentence = serializers.CharField()


class EquivalenceSettingsSerializer(serializers.Serializer):
    primary = serializers.CharField()
    margin = serializers.FloatField()
    max_new_tokens = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True)
    seed = serializers.IntegerField()


class EquivalenceSerializer(serializers.ModelSerializer):
    figures = EquivalenceFiguresSerializer(read_only=True)
    settings = EquivalenceSettingsSerializer(read_only=True)
    progress = ProgressSerializer(read_only=True)
    verdict = serializers.SerializerMethodField()
    created_by = serializers.EmailField(source="created_by.email", read_only=True)

    class Meta:
        model = Equivalence
        fields = [
            "id", "derived", "golden", "digest_of_model", "settings", "state", "progress", "device", "figures",
            "verdict", "digest", "created_by", "created_at", "error_code", "error_message", "attempt", "queued_at",
            "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(EquivalenceVerdictSerializer(allow_null=True))
    def get_verdict(self, row: Equivalence) -> Any:
        found = selectors.verdict_of(row)
        return EquivalenceVerdictSerializer(found).data if found else None


class BothAnswersSerializer(serializers.Serializer):
    """One golden row with the answer of the adapter on its base and that of the model."""

    index = serializers.IntegerField()
    row_id = serializers.CharField(allow_blank=True)
    prompt = serializers.CharField()
    expected = serializers.CharField()
    adapter_output = serializers.CharField(allow_blank=True)
    derived_output = serializers.CharField(allow_blank=True)
    outcome = serializers.CharField()
    change = serializers.FloatField()
    scores = serializers.DictField(child=serializers.DictField(child=serializers.FloatField()))


def _goldens(project: Project) -> QuerySet[DatasetVersion]:
    return DatasetVersion.objects.filter(dataset__project=project).select_related("dataset")


class NewEquivalenceSerializer(StrictSerializer):
    """`margin` is a share: 0.02 are two points."""

    derived = serializers.PrimaryKeyRelatedField(queryset=DerivedModel.objects.none())
    golden = serializers.PrimaryKeyRelatedField(queryset=DatasetVersion.objects.none())
    margin = serializers.FloatField(min_value=equivalence.LEAST, max_value=equivalence.MOST, required=False)
    limit = serializers.IntegerField(min_value=10, max_value=selectors.MOST_QUESTIONS, required=False, allow_null=True)
    max_new_tokens = serializers.IntegerField(min_value=1, max_value=4096, required=False, allow_null=True)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)

    def get_fields(self) -> dict[str, Any]:
        """Only what belongs to the project can be named; anything else does not exist."""
        fields = super().get_fields()
        if (project := self.context.get("project")) is not None:
            fields["derived"].queryset = training.derived_models(project)  # type: ignore[attr-defined]
            fields["golden"].queryset = _goldens(project)  # type: ignore[attr-defined]
        return fields


class EveryDerivedSerializer(StrictSerializer):
    """All models of an adapter that have no result on this golden set within this margin."""

    adapter = serializers.PrimaryKeyRelatedField(queryset=Adapter.objects.none())
    golden = serializers.PrimaryKeyRelatedField(queryset=DatasetVersion.objects.none())
    margin = serializers.FloatField(min_value=equivalence.LEAST, max_value=equivalence.MOST, required=False)

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        if (project := self.context.get("project")) is not None:
            fields["adapter"].queryset = training.adapters(project)  # type: ignore[attr-defined]
            fields["golden"].queryset = _goldens(project)  # type: ignore[attr-defined]
        return fields


@extend_schema_view(
    list=extend_schema(
        summary="Derived models held against their adapter, the newest first",
        parameters=[OpenApiParameter("derived", int, description="Only those of this model.")],
    ),
    retrieve=extend_schema(summary="One of them with its figures and verdict"),
)
class EquivalenceViewSet(Idempotent, ListModelMixin, RetrieveModelMixin, OfProject):
    lookup_value_converter = "int"
    queryset = Equivalence.objects.none()
    serializer_class = EquivalenceSerializer
    services = {
        "create": services.evaluate_derived,
        "every": services.evaluate_every_derived,
        "cancel": services.cancel_equivalence,
        "retry": services.retry_equivalence,
    }

    @property
    def known_filters(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("derived",) if self.action == "list" else ()

    def get_queryset(self) -> QuerySet[Equivalence]:
        found = selectors.equivalences(self.project)
        wanted = filters.row_number(self.request, "derived", "A model") if self.action == "list" else None
        return found if wanted is None else found.filter(derived=wanted)

    @extend_schema(
        summary="Hold a derived model against its adapter",
        request=NewEquivalenceSerializer,
        responses={201: EquivalenceSerializer},
        parameters=[KEY],
    )
    def create(self, request: Request, **kwargs: Any) -> Response:
        values = self.wanted(NewEquivalenceSerializer, request)

        def make() -> Response:
            row = self.services["create"](values.pop("derived"), by=request.user, **values)
            return Response(EquivalenceSerializer(row).data, status=201)

        return self.create_once(request, make)

    @extend_schema(
        summary="Hold all models of an adapter against it",
        request=EveryDerivedSerializer,
        responses={201: EquivalenceSerializer(many=True)},
        filters=False,
    )
    @action(detail=False, methods=["post"], pagination_class=None)
    def every(self, request: Request, **kwargs: Any) -> Response:
        """409 `nothing_to_do` where all of them have a result or are at work."""
        values = self.wanted(EveryDerivedSerializer, request)
        found = self.services["every"](values.pop("adapter"), by=request.user, **values)
        return Response(EquivalenceSerializer(found, many=True).data, status=201)

    @extend_schema(summary="Cancel it", request=ReasonSerializer, responses={202: EquivalenceSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **kwargs: Any) -> Response:
        given = self.wanted(ReasonSerializer, request)
        row = self.services["cancel"](self.get_object(), by=request.user, **given)
        return Response(EquivalenceSerializer(row).data, status=202)

    @extend_schema(summary="Try again", request=EmptySerializer, responses={202: EquivalenceSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, **kwargs: Any) -> Response:
        self.wanted(EmptySerializer, request)
        row = self.services["retry"](self.get_object(), by=request.user)
        return Response(EquivalenceSerializer(row).data, status=202)

    @extend_schema(
        summary="Both answers to every golden row", responses={200: BothAnswersSerializer(many=True)}, filters=False
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def answers(self, request: Request, **kwargs: Any) -> Response:
        return Response(BothAnswersSerializer(selectors.both_answers(self.get_object()), many=True).data)
