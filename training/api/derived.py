"""Models made of adapters over the API: the same services as the pages; bills and cards of them and of adapters."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.response import Response

from projects.api import filters
from projects.api.serializers import ReasonSerializer, StrictSerializer
from projects.api.views import Idempotent, ProjectViewSet
from training import selectors, services, serving
from training.api.durable import checked
from training.api.serializers import BandSerializer, ManifestSerializer, MoneyBandSerializer, TrainingProgressSerializer
from training.domain.derived import KINDS
from training.models import Adapter, DerivedModel

KEY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="Makes a repeat harmless.")
BUDGET = {
    "required": False,
    "default": "",
    "allow_blank": True,
    "max_length": 2000,
    "help_text": "Asks the owners for a yes when the month has too little left: it is then `held`.",
}


class DeriveProjectionSerializer(serializers.Serializer):
    """What making it is expected to take; `measured` is how many earlier ones that rests on."""

    device = serializers.CharField(required=False)
    size_bytes = serializers.IntegerField(required=False)
    disk_bytes = serializers.IntegerField(required=False)
    seconds = BandSerializer(required=False)
    money = MoneyBandSerializer(required=False)
    currency = serializers.CharField(required=False)
    measured = serializers.IntegerField(required=False)


class DeriveFiguresSerializer(serializers.Serializer):
    """What was found when its weights were held against base and adapter. Shares from 0 to 1."""

    adapted = serializers.IntegerField(required=False)
    packed = serializers.IntegerField(required=False)
    share = serializers.FloatField(required=False, allow_null=True, help_text="Of the adapter found in the weights.")
    worst_layer = serializers.CharField(required=False)
    worst_error = serializers.FloatField(required=False)
    mean_error = serializers.FloatField(required=False)
    lost_in_rounding = serializers.FloatField(required=False)
    bits = serializers.IntegerField(required=False)
    group = serializers.IntegerField(required=False)


class DeriveFactsSerializer(serializers.Serializer):
    dtype = serializers.CharField(required=False)
    parameters = serializers.IntegerField(required=False)
    shards = serializers.IntegerField(required=False)
    figures = DeriveFiguresSerializer(required=False)


class DeriveProofSerializer(serializers.Serializer):
    """What it says of the probes: `kept` is the way from its base, 0, to the adapter, 1."""

    numerics = serializers.CharField()
    kept = serializers.FloatField()
    apart = serializers.FloatField()
    effect = serializers.FloatField()


class DerivedModelSerializer(serializers.ModelSerializer):
    projection = DeriveProjectionSerializer()
    progress = TrainingProgressSerializer()
    manifest = serializers.SerializerMethodField()
    facts = DeriveFactsSerializer()
    proofs = serializers.SerializerMethodField()
    created_by = serializers.EmailField(source="created_by.email")

    class Meta:
        model = DerivedModel
        fields = [
            "id", "adapter", "kind", "state", "progress", "projection", "size_bytes", "digest", "manifest", "facts",
            "proofs", "device", "error_code", "error_message", "attempt", "queued_at", "started_at", "finished_at",
            "created_by", "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(ManifestSerializer(allow_null=True))
    def get_manifest(self, row: DerivedModel) -> Any:
        return row.manifest or None

    @extend_schema_field(DeriveProofSerializer(many=True))
    def get_proofs(self, row: DerivedModel) -> Any:
        return DeriveProofSerializer([one for _, one in sorted(row.proofs.items())], many=True).data


class NewDerivedModelSerializer(StrictSerializer):
    adapter = serializers.PrimaryKeyRelatedField(queryset=Adapter.objects.none())
    kind = serializers.ChoiceField(KINDS)
    budget_reason = serializers.CharField(**BUDGET)  # type: ignore[arg-type]

    def get_fields(self) -> dict[str, Any]:
        """Only what belongs to the project can be named; anything else does not exist."""
        fields = super().get_fields()
        if (project := self.context.get("project")) is not None:
            fields["adapter"].queryset = selectors.adapters(project)  # type: ignore[attr-defined]
        return fields


class RetryDerivedModelSerializer(StrictSerializer):
    budget_reason = serializers.CharField(**BUDGET)  # type: ignore[arg-type]


@extend_schema_view(
    list=extend_schema(
        summary="Models made of adapters, the newest first",
        parameters=[OpenApiParameter("adapter", int, description="Only those of this adapter.")],
    ),
    retrieve=extend_schema(summary="One of them, with its files, figures and proofs"),
)
class DerivedModelViewSet(Idempotent, ListModelMixin, RetrieveModelMixin, ProjectViewSet):
    lookup_value_converter = "int"
    queryset = DerivedModel.objects.none()
    serializer_class = DerivedModelSerializer
    services = {
        "create": services.make_derived,
        "cancel": services.cancel_derived,
        "retry": services.retry_derived,
        "destroy": services.delete_derived,
    }

    @property
    def known_filters(self) -> tuple[str, ...]:  # type: ignore[override]
        return {"list": ("adapter",), "files": ("name",)}.get(self.action, ())

    def get_queryset(self) -> QuerySet[DerivedModel]:
        found = selectors.derived_models(self.project)
        wanted = filters.row_number(self.request, "adapter", "An adapter") if self.action == "list" else None
        return found if wanted is None else found.filter(adapter=wanted)

    @extend_schema(
        summary="Have a model made of an adapter",
        request=NewDerivedModelSerializer,
        responses={202: DerivedModelSerializer},
        parameters=[KEY],
    )
    def create(self, request: Any, **kwargs: Any) -> Response:
        """`merged`, `int8` or `int4`, one of each. 409 `already_made`, `already_making`, `over_budget`."""
        given = NewDerivedModelSerializer(data=request.data, context={"project": self.project})
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        adapter = values.pop("adapter")
        return self.create_once(
            request, lambda: self.shown(self.services["create"](adapter, by=request.user, **values))
        )

    @extend_schema(summary="Stop the making", request=ReasonSerializer, responses={202: DerivedModelSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Any, **kwargs: Any) -> Response:
        fields = checked(ReasonSerializer, request)
        return self.shown(self.services["cancel"](self.get_object(), by=request.user, **fields))

    @extend_schema(summary="Try again", request=RetryDerivedModelSerializer, responses={202: DerivedModelSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Any, **kwargs: Any) -> Response:
        """A new attempt after a failure or a cancellation; weight files that are whole are not written again."""
        fields = checked(RetryDerivedModelSerializer, request)
        return self.shown(self.services["retry"](self.get_object(), by=request.user, **fields))

    @extend_schema(summary="Delete a model with its bytes and evaluations", responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="All files as one zip", responses={(200, "application/zip"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def download(self, request: Any, **kwargs: Any) -> HttpResponseBase:
        """Made while it is sent; every file is checked against its sha256 first."""
        return serving.whole(self.get_object())

    @extend_schema(
        summary="One file, whole or a range of it",
        parameters=[
            OpenApiParameter("name", str, required=True, description="As in `manifest.files`."),
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="One range, such as `bytes=1000-`."),
        ],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            416: None,
        },
        filters=False,
    )
    @action(detail=True, methods=["get"])
    def files(self, request: Any, **kwargs: Any) -> HttpResponseBase:
        name = request.query_params.get("name", "")
        return serving.one_file(self.get_object(), name, request.headers.get("Range", ""))

    @extend_schema(
        summary="Bill of materials in CycloneDX 1.6",
        responses={(200, "application/vnd.cyclonedx+json"): OpenApiTypes.OBJECT},
    )
    @action(detail=True, methods=["get"])
    def bom(self, request: Any, **kwargs: Any) -> HttpResponseBase:
        return serving.bill(self.get_object())

    @extend_schema(
        summary="Model card with what has been measured", responses={(200, "text/markdown"): OpenApiTypes.STR}
    )
    @action(detail=True, methods=["get"])
    def card(self, request: Any, **kwargs: Any) -> HttpResponseBase:
        return serving.card(self.get_object())

    def shown(self, row: DerivedModel) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=row.pk)).data, status=202)


class Described:
    """Bill and card of an adapter, beside its other addresses."""

    @extend_schema(
        summary="Bill of materials in CycloneDX 1.6",
        responses={(200, "application/vnd.cyclonedx+json"): OpenApiTypes.OBJECT},
    )
    @action(detail=True, methods=["get"])
    def bom(self, request: Any, **kwargs: Any) -> HttpResponseBase:
        return serving.bill(self.get_object())  # type: ignore[attr-defined]

    @extend_schema(
        summary="Model card with what has been measured", responses={(200, "text/markdown"): OpenApiTypes.STR}
    )
    @action(detail=True, methods=["get"])
    def card(self, request: Any, **kwargs: Any) -> HttpResponseBase:
        return serving.card(self.get_object())  # type: ignore[attr-defined]
