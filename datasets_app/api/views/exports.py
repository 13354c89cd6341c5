"""API of versions as files."""

from typing import Any

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from datasets_app import exports
from datasets_app.domain.exports import Shape
from datasets_app.models import DatasetVersion
from projects.api.views import ProjectViewSet

SHAPE = OpenApiParameter("shape", OpenApiTypes.STR, enum=[shape.value for shape in Shape], description="Left out: trl.")
GZ = OpenApiParameter("gz", OpenApiTypes.INT, enum=[0, 1], description="1: compressed by gzip.")
PK = OpenApiParameter("pk", OpenApiTypes.INT, OpenApiParameter.PATH, description="Number of the version.")


class ExportViewSet(ProjectViewSet):
    """The rows of a version in the shape of another tool."""

    known_filters = ("shape", "gz")

    @extend_schema(
        operation_id="versions_export",
        parameters=[PK, SHAPE, GZ],
        responses={200: OpenApiResponse(OpenApiTypes.BINARY, description="JSON lines, CSV or Parquet")},
    )
    def retrieve(self, request: Any, pk: int = 0, **kwargs: Any) -> StreamingHttpResponse:
        """Stream the rows. Alpaca holds single questions and answers only; the page says what would be lost."""
        version = get_object_or_404(DatasetVersion.every, dataset__project=self.project, pk=pk)
        shape = request.query_params.get("shape", Shape.TRL.value)
        return exports.version_response(version, shape, gz=request.query_params.get("gz", "0") == "1")
