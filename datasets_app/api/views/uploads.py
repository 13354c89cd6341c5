"""API of uploads."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from datasets_app import services
from datasets_app.api import serializers
from datasets_app.api.views.reading import KEY, Listed
from datasets_app.models import BadRow, Dataset, Upload
from projects.api.parsers import StrictJSONParser
from projects.api.serializers import EmptySerializer
from projects.api.views import Idempotent


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
