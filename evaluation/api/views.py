"""Evaluations over the API: the same services as the pages."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from evaluation import selectors, services
from evaluation.api.serializers import EvaluationSerializer, ItemSerializer, StartSerializer
from evaluation.forms import OUTCOMES
from evaluation.models import Evaluation
from projects.api.pagination import Cursor
from projects.api.serializers import EmptySerializer, ReasonSerializer
from projects.api.views import Idempotent, ProjectViewSet
from projects.domain.errors import Invalid

KEY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="Makes a repeat harmless.")


class ItemCursor(Cursor):
    """Worst regressions first."""

    ordering = "place"


@extend_schema_view(
    list=extend_schema(summary="Evaluations, the newest first"),
    retrieve=extend_schema(summary="One evaluation with its summary"),
)
class EvaluationViewSet(Idempotent, ProjectViewSet):
    queryset = Evaluation.objects.none()
    serializer_class = EvaluationSerializer
    services = {
        "create": services.start_evaluation,
        "cancel": services.cancel_evaluation,
        "retry": services.retry_evaluation,
    }

    @property
    def known_filters(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("outcome", "q") if self.action == "items" else ()

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return Evaluation.objects.none()
        return selectors.evaluations(self.project)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "project": getattr(self, "project", None)}

    def list(self, request: Request, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        costs = selectors.costs(self.project, [row.pk for row in page])
        context = self.get_serializer_context() | {"costs": costs}
        return self.get_paginated_response(EvaluationSerializer(page, many=True, context=context).data)

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        summary="Start an evaluation",
        request=StartSerializer,
        responses={201: EvaluationSerializer},
        parameters=[KEY],
    )
    def create(self, request: Request, **kwargs: Any) -> Response:
        wanted = StartSerializer(data=request.data, context=self.get_serializer_context())
        wanted.is_valid(raise_exception=True)
        return self.create_once(request, lambda: self._start(dict(wanted.validated_data)))

    def _start(self, values: dict[str, Any]) -> Response:
        adapter, graders = values.pop("adapter"), sorted(values.pop("graders", ()))
        service = self.services["create"]
        evaluation = service(adapter, by=self.request.user, graders=graders, **values)
        return Response(self.get_serializer(evaluation).data, status=201)

    @extend_schema(summary="Cancel an evaluation", request=ReasonSerializer, responses={202: EvaluationSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **kwargs: Any) -> Response:
        given = ReasonSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        evaluation = self.services["cancel"](self.get_object(), by=request.user, **given.validated_data)
        return Response(self.get_serializer(evaluation).data, status=202)

    @extend_schema(summary="Try again", request=EmptySerializer, responses={202: EvaluationSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, **kwargs: Any) -> Response:
        EmptySerializer(data=request.data).is_valid(raise_exception=True)
        evaluation = self.services["retry"](self.get_object(), by=request.user)
        return Response(self.get_serializer(evaluation).data, status=202)

    @extend_schema(
        summary="Golden rows with both answers, worst regressions first",
        parameters=[
            OpenApiParameter("outcome", str, enum=[name for name in OUTCOMES if name]),
            OpenApiParameter("q", str, description="Words that must occur in prompt or answers."),
        ],
        responses={200: ItemSerializer(many=True)},
    )
    @action(detail=True, pagination_class=ItemCursor, serializer_class=ItemSerializer)
    def items(self, request: Request, **kwargs: Any) -> Response:
        outcome, query = request.query_params.get("outcome", ""), request.query_params.get("q", "")
        if outcome not in OUTCOMES:
            raise Invalid(f"There is no outcome “{outcome[:40]}”.", code="unknown_outcome", field="outcome")
        found = selectors.items(self.get_object(), outcome=outcome, query=query[:200])
        return self.get_paginated_response(self.get_serializer(self.paginate_queryset(found), many=True).data)
