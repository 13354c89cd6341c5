"""API of datasets, uploads and versions."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from datasets_app import selectors, services
from datasets_app.api import serializers
from datasets_app.models import BadRow, Build, Dataset, DatasetVersion, Upload
from projects.api.parsers import StrictJSONParser
from projects.api.serializers import EmptySerializer
from projects.api.views import Idempotent, ProjectViewSet
from projects.domain.errors import Invalid

ROWS_A_PAGE, MOST_ROWS_A_PAGE = 50, 200
KEY = OpenApiParameter("Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER, description="Kept for a day.")
ROW_FILTERS = [
    OpenApiParameter("q", OpenApiTypes.STR, description="Rows that hold this text, any case."),
    OpenApiParameter("cursor", OpenApiTypes.INT, description="From the links of the answer."),
    OpenApiParameter("page_size", OpenApiTypes.INT, description="1 to 200."),
]


class Listed(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Reads inside the project of the address; the schema is made without one."""

    def get_queryset(self) -> Any:
        return super().get_queryset().filter(**{self.path_to_project: getattr(self, "project", None)})

    path_to_project = "project"


@extend_schema_view(list=extend_schema(description="Datasets of the project, newest first."))
class DatasetViewSet(Idempotent, Listed):
    queryset = Dataset.objects.select_related("created_by", "project")
    serializer_class = serializers.DatasetSerializer
    services = {"create": services.create_dataset, "destroy": services.delete_dataset}
    known_filters = ("reason",)

    @extend_schema(parameters=[KEY], responses={201: serializers.DatasetSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Create an empty dataset; its rows come by upload."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)

        def make() -> Response:
            dataset = self.services["create"](self.project, by=request.user, **given.validated_data)
            return Response(self.get_serializer(dataset).data, status=status.HTTP_201_CREATED)

        return self.create_once(request, make)

    @extend_schema(parameters=[OpenApiParameter("reason", OpenApiTypes.STR)], responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Delete a dataset with all its versions; refused when a run or an evaluation stands on one of them."""
        reason = request.query_params.get("reason", "")[:2000]
        self.services["destroy"](self.get_object(), by=request.user, reason=reason)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema_view(list=extend_schema(description="Uploads of the project, newest first."))
class UploadViewSet(Idempotent, Listed):
    queryset = Upload.objects.select_related("uploaded_by", "dataset", "project")
    serializer_class = serializers.UploadSerializer
    parser_classes = [MultiPartParser, StrictJSONParser]
    services = {
        "create": services.accept_upload,
        "read_again": services.reread_upload,
        "cancel": services.cancel_upload,
    }

    @extend_schema(
        parameters=[KEY],
        request={"multipart/form-data": serializers.NewUploadSerializer},
        responses={202: serializers.UploadSerializer},
    )
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Bring a file. It is read in the background: ask for the upload until its state is succeeded or failed."""
        given = serializers.NewUploadSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = given.validated_data
        dataset = get_object_or_404(Dataset, project=self.project, pk=wanted["dataset"])

        def make() -> Response:
            upload = self.services["create"](
                dataset, by=request.user, file=wanted["file"], forced_format=wanted.get("format", "")
            )
            return self.answer(upload)

        return self.create_once(request, make)

    @extend_schema(
        parameters=[KEY], request=serializers.RereadSerializer, responses={202: serializers.UploadSerializer}
    )
    @action(detail=True, methods=["post"], url_path="read-again")
    def read_again(self, request: Any, **kwargs: Any) -> Response:
        """Read the same bytes once more, in another format."""
        given = serializers.RereadSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        upload, chosen = self.get_object(), given.validated_data.get("format", "")
        return self.create_once(
            request,
            lambda: self.answer(self.services["read_again"](upload, by=request.user, forced_format=chosen)),
        )

    @extend_schema(request=EmptySerializer, responses={202: serializers.UploadSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Any, **kwargs: Any) -> Response:
        """Stop the reading; nothing of the file becomes a version."""
        return self.answer(self.services["cancel"](self.get_object(), by=request.user))

    @extend_schema(responses=serializers.BadRowSerializer(many=True))
    @action(detail=True, methods=["get"], url_path="bad-rows")
    def bad_rows(self, request: Any, **kwargs: Any) -> Response:
        """Every row that was kept aside, with line, field, code, found and expected."""
        rows = BadRow.objects.filter(upload=self.get_object())
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(serializers.BadRowSerializer(page, many=True).data)

    def answer(self, upload: Upload) -> Response:
        upload.refresh_from_db()
        return Response(self.get_serializer(upload).data, status=status.HTTP_202_ACCEPTED)


@extend_schema_view(list=extend_schema(description="Versions of all datasets of the project, newest first."))
class VersionViewSet(Idempotent, Listed):
    queryset = DatasetVersion.objects.select_related("dataset__project", "created_by").prefetch_related(
        "parents", "findings", "overlaps"
    )
    serializer_class = serializers.VersionSerializer
    services = {"clean": services.clean_version}
    path_to_project = "dataset__project"
    known_filters = ("q",)

    @extend_schema(parameters=ROW_FILTERS, responses=serializers.RowPageSerializer)
    @action(detail=True, methods=["get"])
    def rows(self, request: Any, **kwargs: Any) -> Response:
        """Rows in their order, a page at a time."""
        start = number(request, "cursor", 0, 0, 2**31)
        size = number(request, "page_size", ROWS_A_PAGE, 1, MOST_ROWS_A_PAGE)
        rows, total = selectors.read_rows(self.get_object(), start, size, request.query_params.get("q", "")[:200])
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
        version, steps = self.get_object(), [dict(step) for step in given.validated_data["steps"]]

        def make() -> Response:
            build = self.services["clean"](version, by=request.user, steps=steps)
            build.refresh_from_db()
            return Response(serializers.BuildSerializer(build).data, status=status.HTTP_202_ACCEPTED)

        return self.create_once(request, make)


@extend_schema_view(list=extend_schema(description="Cleaning jobs of the project, newest first."))
class BuildViewSet(Listed):
    queryset = Build.objects.select_related("created_by", "project")
    serializer_class = serializers.BuildSerializer


def number(request: Any, name: str, usual: int, least: int, most: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        raise Invalid(f"“{name}” is a number from {least} to {most}.", code="invalid_cursor", field=name)
    return int(text)


def link(request: Any, cursor: int) -> str:
    query = request.query_params.copy()
    query["cursor"] = str(cursor)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
