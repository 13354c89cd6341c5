"""The page of runs beside each other."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from projects.pages import ProjectPage
from training import pages
from training.domain import comparing


class RunCompare(ProjectPage):
    """Up to a hundred runs; the address says which, and how they are drawn."""

    room = "training"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        given = request.GET.dict() | {"runs": ",".join(request.GET.getlist("runs"))}
        asked = comparing.read(given)
        context = pages.comparison_page(self.project, asked, timezone.now())
        if self.wants_fragment:
            return self.piece("training/_compare.html", context, forms=["compare-form"], query=asked.query)
        return self.render("training/compare.html", context)
