"""Runs that rest, go on, and keep checkpoints: the part of the API that is about lasting."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.response import Response

from projects.api.serializers import EmptySerializer, ReasonSerializer
from training import selectors
from training.api import serializers as shapes
from training.api.durable_shapes import CheckpointSerializer


def checked(serializer_class: Any, request: Any) -> dict[str, Any]:
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


class Durable:
    """Mixed into the view set of runs."""

    services: ClassVar[Any]
    get_object: Any
    shown: Any

    @extend_schema(request=ReasonSerializer, responses={202: shapes.RunDetailSerializer})
    @action(detail=True, methods=["post"])
    def pause(self, request: Any, **kwargs: Any) -> Response:
        """Let a run rest: at once while it waits; a running one saves a checkpoint and gives its place to others."""
        fields = checked(ReasonSerializer, request)
        return self.shown(self.services["pause"](self.get_object(), by=request.user, **fields), 202)

    @extend_schema(request=EmptySerializer, responses={202: shapes.RunDetailSerializer})
    @action(detail=True, methods=["post"])
    def resume(self, request: Any, **kwargs: Any) -> Response:
        """Queue a paused run again; it goes on from its newest whole checkpoint."""
        checked(EmptySerializer, request)
        return self.shown(self.services["resume"](self.get_object(), by=request.user), 202)

    @extend_schema(responses={200: CheckpointSerializer(many=True)})
    @action(detail=True, methods=["get"], pagination_class=None)
    def checkpoints(self, request: Any, **kwargs: Any) -> Response:
        """The checkpoints that exist, the newest first, each with whether it is whole."""
        found = selectors.checkpoints(self.get_object())
        return Response(CheckpointSerializer(found, many=True).data)
