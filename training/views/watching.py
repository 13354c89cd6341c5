"""Parts of a run's page that are asked for by themselves: its log, and a closer look at one curve."""

import math

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse

from training import pages, selectors
from training.domain.series import LAST_STEP
from training.views.runs import RunPage, over

LOOKED_FOR = 200  # characters of a search


class RunLog(RunPage):
    """The end of the log, or those of its lines that hold what is looked for."""

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        run, wanted = self.run(pk), request.GET.get("q", "").strip()[:LOOKED_FOR]
        found = selectors.log_search(run, wanted) if wanted else None
        context = {"run": run, "found": found, "wanted": wanted, "log": "" if wanted else selectors.log_tail(run)}
        return self.render("training/_log.html", context)


class RunCurve(RunPage):
    """x and y of one figure between two places on its axis, as fine as a screen can show."""

    def get(self, request: HttpRequest, project: str, pk: int, name: str) -> HttpResponse:
        run = self.run(pk)
        ends = (_number(request, end, default) for end, default in (("first", 0.0), ("last", float(LAST_STEP))))
        return JsonResponse({"traces": pages.traces(run, name, pages.window(run, over(request), *ends))})


def _number(request: HttpRequest, name: str, default: float) -> float:
    try:
        value = float(request.GET.get(name, default))
    except ValueError:
        raise Http404 from None
    return default if math.isnan(value) else min(max(value, 0.0), float(LAST_STEP))
