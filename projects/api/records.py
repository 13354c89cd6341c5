"""The ledger and the audit log over the API: to be read, never written."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers

from projects.api.pagination import Cursor
from projects.api.views import ProjectViewSet
from projects.domain.errors import Invalid
from projects.domain.permissions import Permission
from projects.models import AuditEvent, LedgerEntry
from projects.models.ledger import CAUSES
from projects.selectors import audit, costs


class LedgerSerializer(serializers.ModelSerializer):
    class Meta:
        model = LedgerEntry
        fields = [
            "id",
            "cause",
            "outcome",
            "subject_kind",
            "subject_id",
            "subject_label",
            "started_at",
            "ended_at",
            "quantity",
            "unit",
            "unit_price",
            "amount",
            "currency",
            "note",
        ]


class AuditSerializer(serializers.ModelSerializer):
    class Meta:
        model = AuditEvent
        fields = ["id", "action", "target", "target_label", "actor", "reason", "detail", "at"]


class ByEnd(Cursor):
    ordering = ("-ended_at", "-pk")


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("cause", enum=[cause for cause, _ in CAUSES]),
            OpenApiParameter("outcome", str),
        ]
    )
)
class LedgerViewSet(mixins.ListModelMixin, ProjectViewSet):
    """What was spent, on what, and how it ended; the newest first."""

    queryset = LedgerEntry.objects.all()
    serializer_class = LedgerSerializer
    pagination_class = ByEnd
    known_filters = ("cause", "outcome")

    def get_queryset(self) -> Any:
        if not hasattr(self, "project"):
            return super().get_queryset()
        wanted = {name: self.request.query_params.get(name, "") for name in self.known_filters}
        if wanted["cause"] and wanted["cause"] not in dict(CAUSES):
            raise Invalid(f"“{wanted['cause'][:60]}” is not a cause of costs.", field="cause")
        return costs.ledger(self.project, **wanted)


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("actor", str, description="Part of an e-mail address"),
            OpenApiParameter("action", str, description="Exact, such as run.succeeded"),
            OpenApiParameter("target", str, description="Part of a name, or an exact target such as training.run:7"),
        ]
    )
)
class AuditViewSet(mixins.ListModelMixin, ProjectViewSet):
    """Every change, by whom, when and why; the newest first."""

    queryset = AuditEvent.objects.all()
    serializer_class = AuditSerializer
    permission = Permission.AUDIT_VIEW
    known_filters = ("actor", "action", "target")

    def get_queryset(self) -> Any:
        if not hasattr(self, "project"):
            return super().get_queryset()
        return audit.events(
            self.project, **{name: self.request.query_params.get(name, "") for name in self.known_filters}
        )
