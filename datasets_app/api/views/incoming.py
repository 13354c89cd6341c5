"""API of files that arrive in parts."""

import io
from typing import Any

from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.response import Response

from datasets_app import services
from datasets_app.api import serializers
from datasets_app.api.views.reading import KEY, Listed
from datasets_app.models import Dataset, Incoming
from projects.api.parsers import BytesParser, StrictJSONParser
from projects.api.serializers import EmptySerializer
from projects.api.views import Idempotent

NUMBER = OpenApiParameter("number", OpenApiTypes.INT, OpenApiParameter.PATH, description="Parts count from 0.")
SHA256 = OpenApiParameter(
    "X-Content-SHA256", OpenApiTypes.STR, OpenApiParameter.HEADER, description="Of this part, in hex: checked if given."
)


@extend_schema_view(
    list=extend_schema(description="Your own unfinished uploads, newest first."),
    retrieve=extend_schema(description="Which parts are here. Send the others, then finish."),
)
class IncomingViewSet(Idempotent, Listed):
    """Nobody sees, feeds or ends another person's file on its way: it is not found."""

    queryset = Incoming.objects.select_related("project", "dataset__project", "upload").prefetch_related("parts")
    serializer_class = serializers.IncomingSerializer
    services = {
        "create": services.begin_upload,
        "part": services.store_part,
        "finish": services.finish_upload,
        "destroy": services.abort_upload,
    }

    def get_queryset(self) -> Any:
        if getattr(self, "project", None) is None:  # the schema is made without anybody
            return super().get_queryset()
        mine = super().get_queryset().filter(created_by=self.request.user)
        return mine.filter(state=Incoming.State.OPEN) if self.action == "list" else mine

    def get_parsers(self) -> list[Any]:
        is_part = getattr(self, "action_map", {}).get("put") == "part"
        return [BytesParser()] if is_part else [StrictJSONParser()]

    @extend_schema(
        parameters=[KEY], request=serializers.NewIncomingSerializer, responses={201: serializers.IncomingSerializer}
    )
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Announce a file. Its parts of `part_size` bytes (the last one shorter) follow, in any order, also at once."""
        given = serializers.NewIncomingSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = given.validated_data
        dataset = get_object_or_404(Dataset, project=self.project, pk=wanted["dataset"])

        def make() -> Response:
            about = {name: wanted[name] for name in ("file_name", "size", "sha256")}
            incoming = self.services["create"](dataset, by=request.user, **about, options=given.options())
            return Response(self.get_serializer(incoming).data, status=status.HTTP_201_CREATED)

        return self.create_once(request, make)

    @extend_schema(
        parameters=[NUMBER, SHA256],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses=serializers.PartSerializer,
    )
    @action(detail=True, methods=["put"], url_path="parts/(?P<number>[^/.]+)")
    def part(self, request: Any, number: str = "", **kwargs: Any) -> Response:
        """Send one part as the body. The same part once more changes nothing; other content is refused."""
        incoming = self.get_object()
        if not (number.isascii() and number.isdigit() and len(number) < 8):
            raise Http404
        sha256 = request.headers.get("X-Content-SHA256", "")
        stream = request.data if hasattr(request.data, "read") else io.BytesIO()  # an empty body has no stream
        part = self.services["part"](incoming, by=request.user, number=int(number), stream=stream, sha256=sha256)
        return Response(serializers.PartSerializer(part).data)

    @extend_schema(request=EmptySerializer, responses={202: serializers.UploadSerializer})
    @action(detail=True, methods=["post"])
    def finish(self, request: Any, **kwargs: Any) -> Response:
        """All parts are here: check them and read the file. However often it is asked, there is one upload."""
        upload = self.services["finish"](self.get_object(), by=request.user)
        upload.refresh_from_db()
        context = self.get_serializer_context()
        return Response(serializers.UploadSerializer(upload, context=context).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Throw away what has arrived."""
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
