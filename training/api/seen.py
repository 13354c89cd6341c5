"""The API of what a base sees: a version counted in its tokens, and rows token by token."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response

from datasets_app.models import DatasetVersion
from projects.api.views import ProjectViewSet
from projects.domain.errors import Refused
from training import selectors, services
from training.api import seen_shapes as shapes
from training.domain import seeing
from training.domain.recipe import KNOB, check
from training.models import BaseModelVersion

LIMIT = KNOB["max_length"]
BASE = OpenApiParameter("base", int, required=True, description="Number of a base model of the project.")
LENGTH = OpenApiParameter("max_length", int, description=f"Longest row in tokens; {LIMIT.default} unless given.")
ROW = OpenApiParameter("row", int, required=True, description="Number of a row, from 0.")


class VersionViewSet(ProjectViewSet):
    """What is asked about: a version of the project, a base, a limit."""

    def version(self) -> DatasetVersion:
        versions = DatasetVersion.objects.select_related("dataset__project")
        return get_object_or_404(versions, dataset__project=self.project, pk=self.kwargs["version"])

    def base(self, number: Any) -> BaseModelVersion:
        return get_object_or_404(selectors.ready_bases(self.project), pk=number)

    def asked(self, serializer_class: Any, values: Any) -> dict[str, Any]:
        serializer = serializer_class(data=values)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def in_address(self, serializer_class: Any) -> dict[str, Any]:
        names = set(serializer_class().fields)
        return self.asked(serializer_class, {k: v for k, v in self.request.query_params.items() if k in names})


class TokensViewSet(VersionViewSet):
    serializer_class = shapes.TokenStatsSerializer
    known_filters = ("base", "max_length")
    services = {"create": services.measure_tokens}

    @extend_schema(
        operation_id="version_tokens_retrieve",
        parameters=[BASE, LENGTH],
        responses={200: shapes.TokenStatsSerializer},
    )
    def retrieve(self, request: Any, **kwargs: Any) -> Response:
        """The counted version under a limit: rows and answers cut, trained tokens, tokens per epoch, a histogram.

        Any limit is answered from the same counts. 409 `tokens_not_counted` means: POST first, or try again.
        """
        version, asked = self.version(), self.in_address(shapes.AskTokensSerializer)
        limit = check(LIMIT, asked["max_length"])
        profile = selectors.profile_for(version, self.base(asked["base"]))
        if profile is None or not profile.is_ready:
            raise Refused("The data has not been counted in tokens of this base yet.", code="tokens_not_counted")
        return Response(shapes.TokenStatsSerializer(selectors.token_stats(profile, limit)).data)

    @extend_schema(
        operation_id="version_tokens_count",
        request=shapes.CountTokensSerializer,
        responses={202: shapes.JobStateSerializer},
    )
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Have a worker count the version in tokens of a base; counted once, it stays counted."""
        version, asked = self.version(), self.asked(shapes.CountTokensSerializer, request.data)
        profile = self.services["create"](version, by=request.user, base=self.base(asked["base"]))
        return Response(shapes.JobStateSerializer(profile).data, status=202)


class SeenViewSet(VersionViewSet):
    serializer_class = shapes.SeenRowSerializer
    known_filters = ("base", "max_length", "row")
    services = {"create": services.show_row}

    @extend_schema(
        operation_id="version_seen_retrieve",
        parameters=[BASE, ROW, LENGTH],
        responses={200: shapes.SeenRowSerializer},
    )
    def retrieve(self, request: Any, **kwargs: Any) -> Response:
        """One row as the base sees it: tokens with their ids and texts, which are trained, what the limit cuts.

        409 `row_not_rendered` means: POST first, or try again in a moment.
        """
        version, asked = self.version(), self.in_address(shapes.AskRowSerializer)
        base, limit = self.base(asked["base"]), check(LIMIT, asked["max_length"])
        seen = selectors.seen_anywhere(version, base, asked["row"])
        if seen is None:
            raise Refused("The row has not been rendered yet.", code="row_not_rendered")
        sequences = [_sequence(one, limit) for one in seen["sequences"]]
        return Response(shapes.SeenRowSerializer(seen | {"max_length": limit, "sequences": sequences}).data)

    @extend_schema(
        operation_id="version_seen_render",
        request=shapes.RenderRowSerializer,
        responses={202: shapes.JobStateSerializer},
    )
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Have a worker render one row in a limited process; rendered once, it is kept."""
        version, asked = self.version(), self.asked(shapes.RenderRowSerializer, request.data)
        row = self.services["create"](version, by=request.user, base=self.base(asked["base"]), index=asked["row"])
        return Response(shapes.JobStateSerializer(row).data, status=202)


class DropLostViewSet(VersionViewSet):
    serializer_class = shapes.BuildNumberSerializer
    services = {"create": services.drop_lost}

    @extend_schema(
        operation_id="version_drop_lost",
        request=shapes.DropLostSerializer,
        responses={202: shapes.BuildNumberSerializer},
    )
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Make a version without the rows that are too long, lose their answer's end, or have nothing to train."""
        version, asked = self.version(), self.asked(shapes.DropLostSerializer, request.data)
        base = self.base(asked.pop("base"))
        build = self.services["create"](version, by=request.user, base=base, **asked)
        return Response(shapes.BuildNumberSerializer({"build": build.pk}).data, status=202)


def _sequence(raw: dict[str, Any], limit: int) -> dict[str, Any]:
    shown = seeing.sequence(raw, limit, whole=True)
    return raw | {
        "trained_tokens": shown.trained,
        "kept_trained": shown.kept_trained,
        "cut": shown.cut,
        "verdict": shown.verdict[1],
    }
