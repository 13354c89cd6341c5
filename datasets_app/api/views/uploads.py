"""API of uploads: whole files, their reading, their bad rows, versions in the making."""

from typing import Any

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from datasets_app import exports, services
from datasets_app.api import serializers
from datasets_app.api.views.reading import KEY, Listed
from datasets_app.models import BadRow, Dataset, Upload
from projects.api.parsers import StrictJSONParser
from projects.api.serializers import EmptySerializer
from projects.api.views import Idempotent


@extend_schema_view(list=extend_schema(description="Uploads of the project, newest first."))
class UploadViewSet(Idempotent, Listed):
    queryset = Upload.objects.select_related("uploaded_by", "dataset", "project", "mends")
    serializer_class = serializers.UploadSerializer
    parser_classes = [MultiPartParser, StrictJSONParser]
    services = {
        "create": services.accept_upload,
        "read_again": services.reread_upload,
        "cancel": services.cancel_upload,
        "mend": services.mend_rows,
        "make": services.make_version,
        "discard": services.discard_making,
        "forget_file": services.forget_file,
    }

    @extend_schema(
        parameters=[KEY],
        request={"multipart/form-data": serializers.NewUploadSerializer},
        responses={202: serializers.UploadSerializer},
    )
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Bring a file whole. It is read in the background: ask for the upload until it is succeeded or failed.

        Large files, and files over bad lines, are better sent in parts: see `incoming`.
        """
        given = serializers.NewUploadSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        dataset = get_object_or_404(Dataset, project=self.project, pk=given.validated_data["dataset"])

        def make() -> Response:
            file = given.validated_data["file"]
            return self.answer(self.services["create"](dataset, by=request.user, file=file, **given.options()))

        return self.create_once(request, make)

    @extend_schema(
        parameters=[KEY], request=serializers.RereadSerializer, responses={202: serializers.UploadSerializer}
    )
    @action(detail=True, methods=["post"], url_path="read-again")
    def read_again(self, request: Any, **kwargs: Any) -> Response:
        """Read the same bytes once more, in another format or with another mapping."""
        given = serializers.RereadSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        upload, wanted = self.get_object(), given.validated_data
        options = {"forced_format": wanted.get("format", ""), "mapping": wanted.get("mapping")}
        return self.create_once(
            request, lambda: self.answer(self.services["read_again"](upload, by=request.user, **options))
        )

    @extend_schema(request=EmptySerializer, responses={202: serializers.UploadSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Any, **kwargs: Any) -> Response:
        """Stop the reading; nothing of the file becomes a version."""
        return self.answer(self.services["cancel"](self.get_object(), by=request.user))

    @extend_schema(parameters=[KEY], request=serializers.MendSerializer, responses={202: serializers.UploadSerializer})
    @action(detail=True, methods=["post"])
    def mend(self, request: Any, **kwargs: Any) -> Response:
        """Apply fixes to the rows kept aside; an upload of its own tells what came of it."""
        given = serializers.MendSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        upload, wanted = self.get_object(), given.validated_data["fixes"]
        return self.create_once(
            request, lambda: self.answer(self.services["mend"](upload, by=request.user, fixes=wanted))
        )

    @extend_schema(parameters=[KEY], request=EmptySerializer, responses={202: serializers.BuildSerializer})
    @action(detail=True, methods=["post"], url_path="make-version")
    def make(self, request: Any, **kwargs: Any) -> Response:
        """Make the version out of the good and the mended rows; what is still bad stays out."""
        upload = self.get_object()

        def make() -> Response:
            build = self.services["make"](upload, by=request.user)
            build.refresh_from_db()
            return Response(serializers.BuildSerializer(build).data, status=status.HTTP_202_ACCEPTED)

        return self.create_once(request, make)

    @extend_schema(request=EmptySerializer, responses={202: serializers.UploadSerializer})
    @action(detail=True, methods=["post"])
    def discard(self, request: Any, **kwargs: Any) -> Response:
        """Give up a version in the making, or take one mending out of it again."""
        return self.answer(self.services["discard"](self.get_object(), by=request.user))

    @extend_schema(request=EmptySerializer, responses={202: serializers.UploadSerializer})
    @action(detail=True, methods=["post"], url_path="forget-file")
    def forget_file(self, request: Any, **kwargs: Any) -> Response:
        """Delete the file, its first rows, the rows kept aside and what was quoted of them; its version stays."""
        return self.answer(self.services["forget_file"](self.get_object(), by=request.user))

    @extend_schema(responses=serializers.BadRowSerializer(many=True))
    @action(detail=True, methods=["get"], url_path="bad-rows")
    def bad_rows(self, request: Any, **kwargs: Any) -> Response:
        """Every fault of every row that was kept aside, with line, column, field, code, found and expected."""
        rows = BadRow.objects.filter(upload=self.get_object())
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(serializers.BadRowSerializer(page, many=True).data)

    @extend_schema(responses={200: OpenApiResponse(OpenApiTypes.BINARY, description="JSON lines")})
    @action(detail=True, methods=["get"], url_path="bad-rows-file")
    def bad_rows_file(self, request: Any, **kwargs: Any) -> StreamingHttpResponse:
        """All rows kept aside as JSON lines {line, codes, faults, text}: mend `text` and bring the file back."""
        return exports.bad_rows_response(self.get_object(), "mend.jsonl")

    def answer(self, upload: Upload) -> Response:
        upload.refresh_from_db()
        return Response(self.get_serializer(upload).data, status=status.HTTP_202_ACCEPTED)
