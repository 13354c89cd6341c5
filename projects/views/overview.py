"""The first page of a project: what needs me, and are we getting better for what we pay?"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from projects import access, charts
from projects.domain.permissions import Permission
from projects.pages import ProjectPage
from projects.selectors import audit, costs
from projects.selectors import overview as selectors

DAYS = 30
EVENTS = 8


class ProjectOverview(ProjectPage):
    room = "overview"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        work, running, waiting = selectors.at_work(self.project)
        context = {
            "needs": selectors.needs(self.project, request.user),
            "panels": selectors.panels(self.project),
            "steps": selectors.first_steps(self.project),
            "work": work,
            "running": running,
            "waiting": waiting,
            "events": self.events(),
        }
        return self.render("projects/overview.html", context | self.money())

    def events(self) -> Any:
        if not access.may(self.request.user, Permission.AUDIT_VIEW, self.project):
            return None
        return audit.events(self.project)[:EVENTS]

    def money(self) -> dict[str, Any]:
        now = timezone.now()
        since = costs.days_before(now, DAYS)
        spending = costs.spending(self.project, now)
        figures = selectors.figures(self.project)
        if spending.lines:
            rows = costs.daily_costs(self.project, since)
            figures.append(charts.cost_over_time(rows, since=since, until=now.date(), currency=self.project.currency))
        return {"spending": spending, "figures": figures}
