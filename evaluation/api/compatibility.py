"""Adapters × base versions, probes and decisions over the API: the same services as the pages."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from datasets_app.models import DatasetVersion
from evaluation import selectors, services
from evaluation.api.serializers import ProgressSerializer
from evaluation.models import Probe
from evaluation.selectors import Cell
from projects.api.serializers import EmptySerializer, ReasonSerializer, StrictSerializer
from projects.api.views import Idempotent, ProjectViewSet
from training import selectors as training
from training import services as deciding
from training.domain.compatibility import VERDICTS
from training.models import Adapter, BaseDecision, BaseModelVersion

KEY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="Makes a repeat harmless.")


class ReasonOfVerdictSerializer(serializers.Serializer):
    """One difference: a stable code, a sentence, and the best verdict that it leaves possible."""

    code = serializers.CharField()
    text = serializers.CharField()
    verdict = serializers.ChoiceField(VERDICTS)


class IntervalSerializer(serializers.Serializer):
    """A mean in nats a token with its 95 % interval over resampled prompts."""

    mean = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class EffectSerializer(IntervalSerializer):
    """The change of what the adapter adds to the log-probability of the expected answers."""

    own = serializers.FloatField()
    other = serializers.FloatField()


class FiguresSerializer(serializers.Serializer):
    """What a probe measured; empty until it is over."""

    prompts = serializers.IntegerField(required=False)
    tokens = serializers.IntegerField(required=False)
    reloads = serializers.ListField(child=serializers.FloatField(), required=False)
    threshold = serializers.FloatField(required=False)
    base = IntervalSerializer(required=False)
    adapter = IntervalSerializer(required=False)
    effect = EffectSerializer(required=False)
    verdict = serializers.ChoiceField(VERDICTS, required=False)


class ProbeSerializer(serializers.ModelSerializer):
    figures = FiguresSerializer(read_only=True)
    progress = ProgressSerializer(read_only=True)
    created_by = serializers.EmailField(source="created_by.email", read_only=True)

    class Meta:
        model = Probe
        fields = [
            "id", "adapter", "base", "golden", "state", "progress", "device", "figures", "digest", "created_by",
            "created_at", "error_code", "error_message", "attempt", "queued_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class ReadingSerializer(serializers.Serializer):
    """One prompt on both versions, in nats a token."""

    index = serializers.IntegerField()
    tokens = serializers.IntegerField()
    base_kl = serializers.FloatField()
    adapter_kl = serializers.FloatField()
    gain_own = serializers.FloatField()
    gain_other = serializers.FloatField()


class BaseDecisionSerializer(serializers.ModelSerializer):
    decided_by = serializers.EmailField(source="decided_by.email", read_only=True)
    codes = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = BaseDecision
        fields = [
            "id", "adapter", "base", "allowed", "verdict", "codes", "evidence", "reason", "decided_by", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class CellSerializer(serializers.Serializer):
    """One adapter on one version of a base. `decision` is the one that stands, `probe` the newest with figures."""

    adapter = serializers.IntegerField(source="adapter.pk")
    base = serializers.IntegerField(source="base.pk")
    own = serializers.BooleanField(source="is_own")
    verdict = serializers.ChoiceField(VERDICTS, source="judgement.verdict.value")
    structure = serializers.ChoiceField(VERDICTS, source="structure.verdict.value")
    reasons = ReasonOfVerdictSerializer(source="judgement.reasons", many=True)
    probe = ProbeSerializer(allow_null=True)
    decision = BaseDecisionSerializer(allow_null=True)


class _OfPair(StrictSerializer):
    adapter = serializers.PrimaryKeyRelatedField(queryset=Adapter.objects.none())
    base = serializers.PrimaryKeyRelatedField(queryset=BaseModelVersion.objects.none())

    def get_fields(self) -> dict[str, Any]:
        """Only what belongs to the project can be named; anything else does not exist."""
        fields = super().get_fields()
        project = self.context.get("project")
        if project is not None:
            choices = {
                "adapter": training.adapters(project),
                "base": project.bases.all(),
                "golden": DatasetVersion.objects.filter(dataset__project=project).select_related("dataset"),
            }
            for name in fields.keys() & choices.keys():
                fields[name].queryset = choices[name]  # type: ignore[attr-defined]
        return fields


class NewProbeSerializer(_OfPair):
    """`limit` is how many prompts of the golden set are asked, 64 when left out."""

    golden = serializers.PrimaryKeyRelatedField(queryset=DatasetVersion.objects.none())
    limit = serializers.IntegerField(min_value=8, max_value=1_000, required=False, allow_null=True)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)


class NewBaseDecisionSerializer(_OfPair):
    """`allowed` false takes an earlier decision back."""

    allowed = serializers.BooleanField(required=False, default=True)
    reason = serializers.CharField(max_length=2000)


class OfProject(ProjectViewSet):
    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "project": getattr(self, "project", None)}

    def wanted(self, serializer: type[StrictSerializer], request: Request) -> dict[str, Any]:
        given = serializer(data=request.data, context=self.get_serializer_context())
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)


class CompatibilityViewSet(ProjectViewSet):
    """Adapters, newest first, each on the newest versions of all bases."""

    serializer_class = CellSerializer
    queryset = Adapter.objects.none()

    def get_queryset(self) -> QuerySet[Adapter]:
        return training.adapters(self.project)

    @extend_schema(summary="The matrix: adapters × base versions", responses={200: CellSerializer(many=True)})
    def list(self, request: Request, **kwargs: Any) -> Response:
        adapters = self.paginate_queryset(self.get_queryset()) or []
        rows = selectors.cells(self.project, adapters, selectors.bases_of_matrix(self.project))
        found: list[Cell] = [cell for _, cells in rows for cell in cells]
        return self.get_paginated_response(CellSerializer(found, many=True).data)


@extend_schema_view(
    list=extend_schema(summary="Probes, the newest first"), retrieve=extend_schema(summary="One probe with its figures")
)
class ProbeViewSet(Idempotent, ListModelMixin, RetrieveModelMixin, OfProject):
    queryset = Probe.objects.none()
    lookup_value_converter = "int"
    serializer_class = ProbeSerializer
    services = {"create": services.probe_pair, "cancel": services.cancel_probe, "retry": services.retry_probe}

    def get_queryset(self) -> QuerySet[Probe]:
        return selectors.probes(self.project)

    @extend_schema(
        summary="Probe a pair", request=NewProbeSerializer, responses={201: ProbeSerializer}, parameters=[KEY]
    )
    def create(self, request: Request, **kwargs: Any) -> Response:
        values = self.wanted(NewProbeSerializer, request)

        def make() -> Response:
            probe = self.services["create"](values.pop("adapter"), by=request.user, **values)
            return Response(ProbeSerializer(probe).data, status=201)

        return self.create_once(request, make)

    @extend_schema(summary="Cancel a probe", request=ReasonSerializer, responses={202: ProbeSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **kwargs: Any) -> Response:
        given = self.wanted(ReasonSerializer, request)
        return Response(
            ProbeSerializer(self.services["cancel"](self.get_object(), by=request.user, **given)).data, status=202
        )

    @extend_schema(summary="Try again", request=EmptySerializer, responses={202: ProbeSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, **kwargs: Any) -> Response:
        self.wanted(EmptySerializer, request)
        return Response(ProbeSerializer(self.services["retry"](self.get_object(), by=request.user)).data, status=202)

    @extend_schema(
        summary="What a probe read of each prompt", responses={200: ReadingSerializer(many=True)}, filters=False
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def readings(self, request: Request, **kwargs: Any) -> Response:
        return Response(ReadingSerializer(selectors.readings(self.get_object()), many=True).data)


@extend_schema_view(list=extend_schema(summary="Decisions on bases that are not the same, the newest first"))
class BaseDecisionViewSet(ListModelMixin, OfProject):
    queryset = BaseDecision.objects.none()
    serializer_class = BaseDecisionSerializer
    services = {"create": deciding.decide_on_base}

    def get_queryset(self) -> QuerySet[BaseDecision]:
        return training.decisions(self.project)

    @extend_schema(
        summary="Answer for an adapter on another base",
        request=NewBaseDecisionSerializer,
        responses={201: BaseDecisionSerializer},
    )
    def create(self, request: Request, **kwargs: Any) -> Response:
        values = self.wanted(NewBaseDecisionSerializer, request)
        decision = self.services["create"](values.pop("adapter"), by=request.user, **values)
        return Response(BaseDecisionSerializer(decision).data, status=201)
