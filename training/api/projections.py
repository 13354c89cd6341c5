"""The API of rehearsals and of the calibration of projections."""

from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.response import Response

from datasets_app.models import DatasetVersion
from projects.api.serializers import ReasonSerializer
from projects.api.views import Idempotent, ProjectViewSet
from training import selectors, services
from training.api import projection_shapes as shapes
from training.api.views import checked, one_of
from training.models import ProjectionRecord, Rehearsal


class RehearsalViewSet(Idempotent, ListModelMixin, RetrieveModelMixin, ProjectViewSet):
    """Some real steps of a run that has not been started, the longest rows first."""

    lookup_value_converter = "int"
    serializer_class = shapes.RehearsalSerializer
    queryset = Rehearsal.objects.none()
    services = {"create": services.rehearse, "cancel": services.cancel_rehearsal}

    def get_queryset(self) -> QuerySet[Rehearsal]:
        return self.project.rehearsals.select_related("project", "asked_by").order_by("-pk")

    @extend_schema(request=shapes.NewRehearsalSerializer, responses={202: shapes.RehearsalSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Rehearse such a run. The same one is answered again while base, data, settings and device are the same."""
        fields = checked(shapes.NewRehearsalSerializer, request)
        versions = DatasetVersion.objects.filter(dataset__project=self.project)

        def make() -> Response:
            rehearsal = self.services["create"](
                self.project,
                by=request.user,
                base=one_of(self.project.bases, fields["base"], "base"),
                version=one_of(versions, fields["dataset_version"], "dataset_version"),
                recipe=fields.get("recipe") or {},
                parent=one_of(self.project.adapters, fields["parent"], "parent"),
            )
            return self.shown(rehearsal)

        return self.create_once(request, make)

    @extend_schema(request=ReasonSerializer, responses={202: shapes.RehearsalSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Any, **kwargs: Any) -> Response:
        """Stop a rehearsal: at once while it waits, within seconds while it runs."""
        fields = checked(ReasonSerializer, request)
        return self.shown(self.services["cancel"](self.get_object(), by=request.user, **fields))

    def shown(self, rehearsal: Rehearsal) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=rehearsal.pk)).data, status=202)


class ProjectionRecordViewSet(ListModelMixin, ProjectViewSet):
    """Projections of past runs beside what they came to."""

    serializer_class = shapes.ProjectionRecordSerializer
    queryset = ProjectionRecord.objects.none()

    def get_queryset(self) -> QuerySet[ProjectionRecord]:
        return selectors.records(self.project)

    @extend_schema(responses={200: shapes.CalibrationSerializer})
    @action(detail=False, methods=["get"], pagination_class=None)
    def calibration(self, request: Any, **kwargs: Any) -> Response:
        """How many of this project's projections held, by quantity and source; and the installation's rates."""
        found = selectors.coverages(selectors.past(selectors.records(self.project)))
        rows = [
            {"quantity": quantity, "source": source, "share": one.share, "verdict": one.verdict, **asdict(one)}
            for (quantity, source), one in sorted(found.items())
        ]
        rates = [asdict(rate) for rate in selectors.device_rates()]
        return Response(shapes.CalibrationSerializer({"coverage": rows, "rates": rates}).data)
