"""API of datasets."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.response import Response

from datasets_app import services
from datasets_app.api import serializers
from datasets_app.api.views.reading import KEY, Listed
from datasets_app.models import Dataset
from projects.api.views import Idempotent


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
