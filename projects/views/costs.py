"""Where the money went, and what it bought."""

import csv
from collections.abc import Iterator
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone

from projects import charts, forms
from projects.domain.spreadsheets import safe_cell
from projects.pages import ProjectPage
from projects.selectors import costs as selectors

PERIODS = (30, 90, 365)
LINES = 25


class CostPage(ProjectPage):
    room = "costs"

    def wanted(self) -> tuple[forms.LedgerFilter, dict[str, Any]]:
        form = forms.LedgerFilter(self.request.GET, outcomes=selectors.outcomes(self.project))
        return form, form.cleaned_data if form.is_valid() else {}


class CostList(CostPage):
    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        form, wanted = self.wanted()
        page = Paginator(selectors.ledger(self.project, **wanted), LINES).get_page(request.GET.get("page"))
        lines = selectors.with_urls(page.object_list)
        context = {"form": form, "page": page, "lines": lines, "filtered": any(wanted.values())}
        return self.render("projects/costs.html", context | self.sums())

    def sums(self) -> dict[str, Any]:
        now, asked = timezone.now(), self.request.GET.get("days", "")
        days = int(asked) if asked in {str(period) for period in PERIODS} else PERIODS[0]
        since, currency = selectors.days_before(now, days), self.project.currency
        return {
            "days": days,
            "periods": PERIODS,
            "spending": selectors.spending(self.project, now),
            "over_time": charts.cost_over_time(
                selectors.daily_costs(self.project, since), since=since, until=now.date(), currency=currency
            ),
            "by_outcome": charts.cost_by_outcome(selectors.costs_by_outcome(self.project, since), currency=currency),
            "subjects": selectors.dearest_subjects(self.project, since),
        }


class Echo:
    """A file that hands back what is written to it, so that an export is streamed."""

    def write(self, text: str) -> str:
        return text


class CostExport(CostPage):
    def get(self, request: HttpRequest, project: str) -> StreamingHttpResponse:
        _, wanted = self.wanted()
        response = StreamingHttpResponse(self.rows(wanted), content_type="text/csv; charset=utf-8")
        name = f"{self.project.slug}-ledger-{timezone.now():%Y-%m-%d}.csv"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    def rows(self, wanted: dict[str, Any]) -> Iterator[str]:
        writer = csv.writer(Echo())
        yield "\ufeff"  # without it spreadsheets read UTF-8 as something else
        yield writer.writerow(selectors.EXPORT_HEAD)
        for line in selectors.ledger(self.project, **wanted).iterator(chunk_size=1000):
            cells = selectors.plain_row(line)
            yield writer.writerow([safe_cell(cell) if isinstance(cell, str) else cell for cell in cells])
