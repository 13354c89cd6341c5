"""API of versions and of the jobs that make them."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.response import Response

from datasets_app import selectors, services
from datasets_app.api import serializers
from datasets_app.api.serializers import changes
from datasets_app.api.views import findings
from datasets_app.api.views.reading import KEY, MOST_ROWS_A_PAGE, ROW_FILTERS, ROWS_A_PAGE, Listed, link, number
from datasets_app.models import Build, DatasetVersion, VersionDiff
from projects.api.serializers import ReasonSerializer
from projects.api.views import Idempotent
from projects.domain.errors import Invalid

DIFF_FILTERS = [
    OpenApiParameter("before", OpenApiTypes.INT, required=True, description="The version it was compared with."),
    OpenApiParameter("rows", OpenApiTypes.STR, enum=["edited", "added", "removed"]),
    *ROW_FILTERS[1:],
]


@extend_schema_view(list=extend_schema(description="Versions of all datasets of the project, newest first."))
class VersionViewSet(findings.FindingActions, Idempotent, Listed):
    queryset = DatasetVersion.objects.select_related("dataset__project", "created_by").prefetch_related(
        "parents", "findings", "overlaps"
    )
    serializer_class = serializers.VersionSerializer
    services = {
        "clean": services.clean_version,
        "restore": services.restore_version,
        "compare": services.compare_versions,
        **findings.SERVICES,
    }
    path_to_project = "dataset__project"
    known_filters = ("q", "before", "rows")

    @extend_schema(parameters=ROW_FILTERS, responses=serializers.RowPageSerializer)
    @action(detail=True, methods=["get"])
    def rows(self, request: Any, **kwargs: Any) -> Response:
        """Rows in their order, a page at a time."""
        start = number(request, "cursor", 0, 0, 2**31)
        size = number(request, "page_size", ROWS_A_PAGE, 1, MOST_ROWS_A_PAGE)
        version, text = self.get_object(), request.query_params.get("q", "").strip()[:200]
        if text:
            hits = selectors.search_rows(version, text, start, size)
            found = serializers.RowSerializer(hits.rows, many=True).data
            total = len(hits.rows) if hits.done and not start else None
            more = None if hits.after is None else link(request, hits.after)
            return Response({"next": more, "previous": None, "total": total, "results": found})
        rows, total = selectors.read_rows(version, start, size)
        return Response(
            {
                "next": link(request, start + size) if start + size < total else None,
                "previous": link(request, max(0, start - size)) if start else None,
                "total": total,
                "results": serializers.RowSerializer(rows, many=True).data,
            }
        )

    @extend_schema(
        parameters=[KEY], request=serializers.CleaningSerializer, responses={202: serializers.BuildSerializer}
    )
    @action(detail=True, methods=["post"])
    def clean(self, request: Any, **kwargs: Any) -> Response:
        """Make a new version by a recipe; ask for the build until its state is succeeded or failed."""
        given = serializers.CleaningSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        version = self.get_object()

        def make() -> Response:
            build = self.services["clean"](version, by=request.user, **given.validated_data)
            build.refresh_from_db()
            return Response(serializers.BuildSerializer(build).data, status=status.HTTP_202_ACCEPTED)

        return self.create_once(request, make)

    @extend_schema(parameters=[KEY], request=ReasonSerializer, responses={202: serializers.BuildSerializer})
    @action(detail=True, methods=["post"])
    def restore(self, request: Any, **kwargs: Any) -> Response:
        """Go back: a new version of the dataset with the rows of this one."""
        given = ReasonSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        version = self.get_object()

        def make() -> Response:
            build = self.services["restore"](version, by=request.user, **given.validated_data)
            build.refresh_from_db()
            return Response(serializers.BuildSerializer(build).data, status=status.HTTP_202_ACCEPTED)

        return self.create_once(request, make)

    @extend_schema(request=changes.AgainstSerializer, responses={202: changes.DiffSerializer})
    @action(detail=True, methods=["post"])
    def compare(self, request: Any, **kwargs: Any) -> Response:
        """Compare with an earlier version row by row; ask again until the state is succeeded or failed."""
        given = changes.AgainstSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        before = get_object_or_404(self.get_queryset(), pk=given.validated_data["before"])
        diff = self.services["compare"](self.get_object(), by=request.user, before=before)
        diff.refresh_from_db()
        return Response(changes.DiffSerializer(diff).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(parameters=DIFF_FILTERS, responses=changes.ChangedRowPageSerializer)
    @action(detail=True, methods=["get"], url_path="changed-rows")
    def changed_rows(self, request: Any, **kwargs: Any) -> Response:
        """Rows that were edited, added or removed since another version that it was compared with."""
        before, kind = number(request, "before", 0, 0, 2**62), request.query_params.get("rows", "edited")
        start = number(request, "cursor", 0, 0, 2**31)
        size = number(request, "page_size", ROWS_A_PAGE, 1, MOST_ROWS_A_PAGE)
        diff = get_object_or_404(VersionDiff, before_id=before, after=self.get_object(), state="succeeded")
        if kind not in selectors.CHANGES:
            raise Invalid(f"“rows” is one of {', '.join(selectors.CHANGES)}.", code="invalid_rows", field="rows")
        total = diff.summary.get(kind, 0)
        return Response(
            {
                "next": link(request, start + size) if start + size < total else None,
                "total": total,
                "results": selectors.diff_rows(diff, kind, start, size),
            }
        )


@extend_schema_view(list=extend_schema(description="Cleaning jobs of the project, newest first."))
class BuildViewSet(Listed):
    queryset = Build.objects.select_related("created_by", "project")
    serializer_class = serializers.BuildSerializer
