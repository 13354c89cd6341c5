"""The lineage page: where things come from and what hangs on them."""

from django.http import HttpRequest, HttpResponse

from deployments import lineage
from projects.pages import ProjectPage


class Lineage(ProjectPage):
    room = "lineage"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        kinds = frozenset(request.GET.getlist("kind")) or lineage.SHOWN_FIRST
        view = lineage.view(self.project, focus=request.GET.get("focus", ""), kinds=kinds)
        return self.render("deployments/lineage.html", {"view": view, "draw_at_most": lineage.DRAW_AT_MOST})
