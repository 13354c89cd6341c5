"""What the view sets of this app share: reads inside the project, paging by number."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import mixins

from projects.api.views import ProjectViewSet
from projects.domain.errors import Invalid

ROWS_A_PAGE = 50
MOST_ROWS_A_PAGE = 200
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


def number(request: Any, name: str, usual: int, least: int, most: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        raise Invalid(f"“{name}” is a number from {least} to {most}.", code="invalid_cursor", field=name)
    return int(text)


def link(request: Any, cursor: int) -> str:
    query = request.query_params.copy()
    query["cursor"] = str(cursor)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
