"""The audit log over the API: to be read, never written."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers

from projects.api.views import ProjectViewSet
from projects.domain.permissions import Permission
from projects.models import AuditEvent
from projects.selectors import audit


class AuditSerializer(serializers.ModelSerializer):
    class Meta:
        model = AuditEvent
        fields = ["id", "action", "target", "target_label", "actor", "reason", "detail", "at"]


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
