"""Where the money went, and what it bought; what is left of the month."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from projects import charts
from projects.pages import ProjectPage
from projects.selectors import budget
from projects.selectors import costs as selectors

PERIODS = (30, 90, 365)
MONTHS = 24


class CostList(ProjectPage):
    room = "costs"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        now, asked = timezone.now(), request.GET.get("days", "")
        days = int(asked) if asked in {str(period) for period in PERIODS} else PERIODS[0]
        context: dict[str, Any] = {
            "days": days,
            "periods": PERIODS,
            "spending": selectors.spending(self.project, now),
            "status": budget.status(self.project, now),
            "asked": budget.open_requests(self.project, now),
            "held": budget.open_holds(self.project),
        }
        if context["spending"].lines:
            context |= self.figures(now, days) | self.bought(now, days)
        return self.render("projects/costs.html", context)

    def figures(self, now: Any, days: int) -> dict[str, Any]:
        since, currency = selectors.days_before(now, days), self.project.currency
        lost = selectors.losses_by_cause(self.project, since)
        return {
            "by_month": charts.cost_by_month(
                selectors.monthly_costs(self.project, now, MONTHS),
                budget=self.project.monthly_budget,
                currency=currency,
            ),
            "over_time": charts.cost_over_time(
                selectors.daily_costs(self.project, since), since=since, until=now.date(), currency=currency
            ),
            "by_outcome": charts.cost_by_outcome(selectors.costs_by_outcome(self.project, since), currency=currency),
            "lost": lost,
            "by_loss": charts.lost_by_cause([(one.word, one.amount) for one in lost], currency=currency),
        }

    def bought(self, now: Any, days: int) -> dict[str, Any]:
        since = selectors.days_before(now, days)
        return {
            "products": selectors.product_costs(self.project),
            "subjects": selectors.dearest_subjects(self.project, since),
            "work": selectors.costs_by_work(self.project, since),
            "people": selectors.people_hours(self.project, since),
        }
