"""API of findings: what was found in a version, its rows, and what people decide about it."""

from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.response import Response

from datasets_app import pages, selectors, services
from datasets_app.api.serializers import findings as serializers
from datasets_app.api.views.reading import MOST_ROWS_A_PAGE, ROWS_A_PAGE, link, number

CODE = OpenApiParameter("code", OpenApiTypes.STR, OpenApiParameter.PATH, description="As in docs/findings.md.")
PAGES = [
    OpenApiParameter("cursor", OpenApiTypes.INT, description="From the links of the answer."),
    OpenApiParameter("page_size", OpenApiTypes.INT, description="1 to 200."),
]
ONE = r"findings/(?P<code>[a-z_-]{1,60})"
SERVICES = {"dismiss": services.dismiss_finding, "reopen": services.reopen_finding}


class FindingActions:
    """Mixed into the view set of versions."""

    get_object: Any
    services: ClassVar[Any]

    @extend_schema(responses=serializers.ListedFindingsSerializer)
    @action(detail=True, methods=["get"])
    def findings(self, request: Any, **kwargs: Any) -> Response:
        """Everything found in the version, worst first, with what to say about it; decided findings are marked."""
        found = selectors.findings(self.get_object())
        return Response({"results": serializers.SaidFindingSerializer(found, many=True).data})

    @extend_schema(parameters=[CODE, *PAGES], responses=serializers.FoundRowPageSerializer)
    @action(detail=True, methods=["get"], url_path=f"{ONE}/rows")
    def found_rows(self, request: Any, code: str = "", **kwargs: Any) -> Response:
        """All rows of one finding, a page at a time, each with the places."""
        version = self.get_object()
        found = _found(version, code)
        start = number(request, "cursor", 0, 0, 2**31)
        size = number(request, "page_size", ROWS_A_PAGE, 1, MOST_ROWS_A_PAGE)
        listed = selectors.found_rows(version, code)
        rows = selectors.read_rows_at(version, [int(n) for n in listed[start : start + size]])
        results = [{"row": row, "places": pages.places_in(row, found)} for row in rows]
        return Response(
            {
                "next": link(request, start + size) if start + size < len(listed) else None,
                "previous": link(request, max(0, start - size)) if start else None,
                "total": len(listed),
                "results": serializers.FoundRowSerializer(results, many=True).data,
            }
        )

    @extend_schema(
        parameters=[CODE],
        request=serializers.DismissingSerializer,
        responses={201: serializers.DecisionSerializer},
    )
    @action(detail=True, methods=["post"], url_path=f"{ONE}/dismiss")
    def dismiss(self, request: Any, code: str = "", **kwargs: Any) -> Response:
        """Live with a finding, for a reason: it no longer counts, until it grows by more than a fifth or worsens."""
        given = serializers.DismissingSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        version = self.get_object()
        _found(version, code)
        decision = self.services["dismiss"](version, by=request.user, code=code, **given.validated_data)
        return Response(serializers.DecisionSerializer(decision).data, status=status.HTTP_201_CREATED)

    @extend_schema(parameters=[CODE], request=None, responses=serializers.DecisionSerializer)
    @action(detail=True, methods=["post"], url_path=f"{ONE}/reopen")
    def reopen(self, request: Any, code: str = "", **kwargs: Any) -> Response:
        """Take the decision back: the finding counts again."""
        decision = self.services["reopen"](self.get_object(), by=request.user, code=code)
        decision.refresh_from_db()
        return Response(serializers.DecisionSerializer(decision).data)


def _found(version: Any, code: str) -> selectors.FindingView:
    found = selectors.finding(version, code)
    if found is None:
        raise Http404
    return found
