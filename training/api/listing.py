"""Lists of runs in the API: the filters and orders of the page, in pages that stay as quick as the first."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Lower
from drf_spectacular.utils import OpenApiParameter
from rest_framework.utils.urls import replace_query_param

from projects.api.pagination import Cursor
from projects.domain.errors import Invalid
from projects.domain.states import JobState
from training.domain.knobs import Method
from training.domain.listing import FILTERS, NEWEST, ORDERS, Listing

# By the name in the address, what of the row it means; the page has the same in SQL.
COLUMNS: dict[str, Any] = {
    "created": F("pk"),
    "name": Lower("name"),
    "state": F("state"),
    "method": F("method"),
    "data": F("dataset_version"),
    "base": F("base__name"),
    "creator": F("created_by__email"),
    "loss": F("last_loss"),
    "rate": F("tokens_per_second"),
    "duration": F("seconds"),
    "cost": F("cost"),
    "started": F("started_at"),
    "step": F("step"),
}
KNOWN = (*FILTERS, "order")
PARAMETERS = [
    OpenApiParameter("name", str, description="Words that the name contains, all of them."),
    OpenApiParameter("state", str, enum=[one.value for one in JobState]),
    OpenApiParameter("method", str, enum=[one.value for one in Method]),
    OpenApiParameter("base", int, description="Number of a base model."),
    OpenApiParameter("dataset_version", int, description="Number of a dataset version."),
    OpenApiParameter("creator", int, description="Number of the person who created it."),
    OpenApiParameter("sweep", int, description="Number of a sweep."),
    OpenApiParameter("since", str, description="Created on this day (UTC) or later: 2026-11-29."),
    OpenApiParameter("until", str, description="Created on this day (UTC) or before."),
    OpenApiParameter(
        "order",
        str,
        default=NEWEST,
        enum=[turn + name for name in ORDERS for turn in ("", "-")],
        description="Falling with “-” before it; runs without a value come last both ways.",
    ),
]


class RunPages(Cursor):
    """A page begins after a run, by its value in the order and its number: no page needs those before it."""

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any]:
        self.request, self.listing = request, view.listing
        self.size: int = self.get_page_size(request) or self.page_size
        back, edge = self._edge()
        rows: QuerySet[Any] = queryset.annotate(edge=COLUMNS[self.listing.column])
        if edge:
            rows = rows.filter(_beyond(self.listing, *edge, back=back))
        down = self.listing.descending != back
        turn = "desc" if down else "asc"
        nulls = {"nulls_first": True} if back else {"nulls_last": True}
        first = () if self.listing.column == "created" else (getattr(F("edge"), turn)(**nulls),)
        found = list(rows.order_by(*first, getattr(F("pk"), turn)())[: self.size + 1])
        more, page = len(found) > self.size, found[: self.size]
        self.page = page[::-1] if back else page
        self.before, self.after = (more, True) if back else (edge is not None, more)
        return self.page

    def _edge(self) -> tuple[bool, tuple[Any, int] | None]:
        """Whether to go back, and the value and number of the run at the edge of the page before."""
        told = self.request.query_params.get("cursor", "")
        if not told:
            return False, None
        try:
            order, back, value, pk = json.loads(urlsafe_b64decode(told))
            if order != self.listing.order:
                raise ValueError
            return bool(back), (_read(self.listing.column, value), int(pk))
        except (ValueError, TypeError, ArithmeticError):
            raise Invalid(
                "This cursor is of another list. Begin at its first page.", code="bad_cursor", field="cursor"
            ) from None

    def _link(self, run: Any, *, back: bool) -> str:
        told = json.dumps([self.listing.order, int(back), _written(run.edge), run.pk])
        return replace_query_param(
            self.request.build_absolute_uri(), "cursor", urlsafe_b64encode(told.encode()).decode()
        )

    def get_next_link(self) -> str | None:
        return self._link(self.page[-1], back=False) if self.after and self.page else None

    def get_previous_link(self) -> str | None:
        return self._link(self.page[0], back=True) if self.before and self.page else None


def _beyond(listing: Listing, value: Any, pk: int, *, back: bool) -> Q:
    """Runs after (or before) the one with this value and number; those without a value are the last of all."""
    sign = "gt" if listing.descending == back else "lt"
    if listing.column == "created":
        return Q(**{f"pk__{sign}": pk})
    if value is None:
        same = Q(edge__isnull=True, **{f"pk__{sign}": pk})
        return same | Q(edge__isnull=False) if back else same
    found = Q(**{f"edge__{sign}": value}) | Q(edge=value, **{f"pk__{sign}": pk})
    return found if back else found | Q(edge__isnull=True)


def _written(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal | datetime) else value


def _read(column: str, value: Any) -> Any:
    if value is None:
        return None
    kinds: dict[str, Any] = {
        "cost": Decimal, "started": datetime.fromisoformat, "loss": float, "rate": float, "duration": float,
        "created": int, "data": int, "step": int,
    }  # fmt: skip
    return kinds.get(column, str)(value)
