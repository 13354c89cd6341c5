"""The ledger over the API: read with filters, exported whole, and corrected by lines of their own."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.response import Response

from projects.api.pagination import Cursor
from projects.api.serializers import StrictSerializer
from projects.api.views import ProjectViewSet
from projects.domain.errors import Invalid
from projects.models import LedgerEntry
from projects.models.ledger import CAUSES, LOSSES
from projects.selectors import exports
from projects.selectors import ledger as selectors
from projects.services import budget as services

FILTERS = [
    OpenApiParameter("month", str, description="Calendar month in UTC, such as 2026-11"),
    OpenApiParameter("cause", enum=[cause for cause, _ in CAUSES]),
    OpenApiParameter("outcome", str),
    OpenApiParameter("loss", enum=[loss for loss, _ in LOSSES], description="Cause of loss of what brought nothing"),
    OpenApiParameter("subject", str, description="An exact training.run:7, or part of a name"),
]
CSV = {(200, "text/csv"): OpenApiTypes.STR}


class CsvRenderer(BaseRenderer):
    """So that a program may ask for text/csv; the rows are streamed past it, and only refusals come here."""

    media_type = "text/csv"
    format = "csv"

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        return orjson.dumps(data)


# How the addresses of the exports are viewed.
EXPORT: dict[str, Any] = {"renderer_classes": [JSONRenderer, CsvRenderer], "pagination_class": None}


class LedgerSerializer(serializers.ModelSerializer):
    person = serializers.EmailField(source="person.email", allow_null=True, default=None)
    booked_by = serializers.EmailField(source="booked_by.email", allow_null=True, default=None)
    device = serializers.CharField(source="attempt.device_name", allow_null=True, default=None)
    attempt = serializers.IntegerField(source="attempt.number", allow_null=True, default=None)

    class Meta:
        model = LedgerEntry
        fields = [
            "id", "cause", "outcome", "loss_cause", "subject_kind", "subject_id", "subject_label", "started_at",
            "ended_at", "quantity", "idle_quantity", "unit", "unit_price", "amount", "currency", "note", "attempt",
            "device", "person", "corrects", "booked_by", "reason",
        ]  # fmt: skip


class LedgerLineSerializer(LedgerSerializer):
    """One line with the seconds of its attempt by phase, and the lines that correct it."""

    phases = serializers.SerializerMethodField()
    corrections: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)

    class Meta(LedgerSerializer.Meta):
        fields = [*LedgerSerializer.Meta.fields, "phases", "corrections"]

    def get_phases(self, line: LedgerEntry) -> dict[str, float]:
        return selectors.phases_of(line)


class CorrectionSerializer(StrictSerializer):
    amount = serializers.DecimalField(
        max_digits=14, decimal_places=6, min_value=Decimal(0), help_text="What the line should have said."
    )
    reason = serializers.CharField(max_length=2000)


class ByEnd(Cursor):
    ordering = ("-ended_at", "-pk")


@extend_schema_view(list=extend_schema(parameters=FILTERS))
class LedgerViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """What was spent, on what, and how it ended; the newest first."""

    queryset = LedgerEntry.objects.none()
    serializer_class = LedgerSerializer
    pagination_class = ByEnd
    known_filters = ("month", "cause", "outcome", "loss", "subject")
    services = {"correct": services.correct_line}

    def get_queryset(self) -> QuerySet[LedgerEntry]:
        if not hasattr(self, "project"):
            return LedgerEntry.objects.none()
        wanted = {name: self.request.query_params.get(name, "") for name in self.known_filters}
        for name, known in (("cause", CAUSES), ("loss", LOSSES)):
            if wanted[name] and wanted[name] not in dict(known):
                raise Invalid(f"“{wanted[name][:60]}” is not a {name} of costs.", field=name)
        return selectors.lines(self.project, **wanted)

    @extend_schema(responses=LedgerLineSerializer)
    def retrieve(self, request: Any, **kwargs: Any) -> Response:
        """One line with its attempt and corrections."""
        return Response(LedgerLineSerializer(self.get_object()).data)

    @extend_schema(request=CorrectionSerializer, responses={201: LedgerSerializer})
    @action(detail=True, methods=["post"])
    def correct(self, request: Any, **kwargs: Any) -> Response:
        """Book the difference to what the line should have said, as a line of its own. Owners only, signed in."""
        fields = CorrectionSerializer(data=request.data)
        fields.is_valid(raise_exception=True)
        made = self.services["correct"](self.get_object(), by=request.user, **fields.validated_data)
        return Response(self.get_serializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(parameters=FILTERS, responses=CSV)
    @action(detail=False, methods=["get"])
    def csv(self, request: Any, **kwargs: Any) -> StreamingHttpResponse:
        """Every line that matches, as CSV for spreadsheets."""
        return streamed(exports.plain_csv(self.get_queryset()))

    @extend_schema(parameters=FILTERS, responses=CSV)
    @action(detail=False, methods=["get"])
    def focus(self, request: Any, **kwargs: Any) -> StreamingHttpResponse:
        """Every line that matches, in the columns of FOCUS 1.2."""
        return streamed(exports.focus_csv(self.project, self.get_queryset()))


def streamed(rows: Iterator[str]) -> StreamingHttpResponse:
    return StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8")
