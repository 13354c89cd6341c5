"""Pages of models made of adapters: side by side, one of them, evaluating them, and one comparison row by row."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from evaluation import derived_pages, selectors, services
from evaluation.forms import DerivedForm
from evaluation.models import Equivalence
from projects.pages import ProjectPage
from training import selectors as training
from training.models import Adapter, DerivedModel

POST_ONLY = ["post", "options"]
OUTCOMES = {name for name, _ in derived_pages.TABS}


class DerivedPanel(ProjectPage):
    """The polled part of an adapter's page."""

    room = "adapters"

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        adapter = get_object_or_404(training.adapters(self.project), pk=pk)
        return self.render("evaluation/_derived.html", derived_pages.panel(adapter))


class ModelPage(ProjectPage):
    room = "adapters"

    def model(self, pk: int) -> DerivedModel:
        return get_object_or_404(training.derived_models(self.project), pk=pk)


class DerivedDetail(ModelPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return self.render("evaluation/derived.html", derived_pages.detail(self.model(pk)))


class DerivedEvaluate(ModelPage):
    service = services.evaluate_derived
    http_method_names = POST_ONLY

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        row = self.model(pk)
        made = self.service(row, by=request.user, **DerivedForm(request.POST, project=self.project).asked())
        return redirect(made)


class DerivedEvaluateAll(ProjectPage):
    room = "adapters"
    service = services.evaluate_every_derived
    http_method_names = POST_ONLY

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        adapter: Adapter = get_object_or_404(training.adapters(self.project), pk=pk)
        found = self.service(adapter, by=request.user, **DerivedForm(request.POST, project=self.project).asked())
        word = "evaluation is" if len(found) == 1 else "evaluations are"
        messages.success(request, f"{len(found)} {word} queued.")
        return redirect(f"{adapter.get_absolute_url()}#derived")


class ComparisonPage(ProjectPage):
    room = "adapters"

    def one(self, pk: int) -> Equivalence:
        return get_object_or_404(selectors.equivalences(self.project), pk=pk)


class EquivalenceDetail(ComparisonPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        outcome = request.GET.get("outcome", "")
        shown = outcome if outcome in OUTCOMES else ""
        context = derived_pages.comparison(self.one(pk), shown, request.GET.get("page"))
        return self.render("evaluation/equivalence.html", context)


class EquivalenceStatus(ComparisonPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        """The polled fragment. Once it is over the page is loaded again, now with the result."""
        row = self.one(pk)
        response = self.render("evaluation/_equivalence_status.html", {"row": row})
        if row.is_over:
            response["HX-Refresh"] = "true"
        return response


class EquivalenceCancel(ComparisonPage):
    service = services.cancel_equivalence
    http_method_names = POST_ONLY

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        row = self.one(pk)
        self.service(row, by=request.user, reason=request.POST.get("reason", "")[:2000])
        messages.success(request, "It is being cancelled. What it cost so far stays in the ledger.")
        return redirect(row)


class EquivalenceRetry(ComparisonPage):
    service = services.retry_equivalence
    http_method_names = POST_ONLY

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return redirect(self.service(self.one(pk), by=request.user))
