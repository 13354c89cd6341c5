"""Pages of models made of adapters: side by side, one of them, evaluating them, and one comparison row by row."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from evaluation import derived_pages, selectors, services
from evaluation.forms import DerivedForm
from evaluation.models import Equivalence
from evaluation.views.jobs import JobCancel, JobPage, JobRetry, JobStatus
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


class ComparisonPage(JobPage):
    room = "adapters"

    def one(self, pk: int) -> Equivalence:
        return get_object_or_404(selectors.equivalences(self.project), pk=pk)

    def status(self, job: Equivalence) -> dict[str, Any]:
        return {"row": job}


class EquivalenceDetail(ComparisonPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        outcome = request.GET.get("outcome", "")
        shown = outcome if outcome in OUTCOMES else ""
        context = derived_pages.comparison(self.one(pk), shown, request.GET.get("page"))
        return self.render("evaluation/equivalence.html", context)


class EquivalenceStatus(ComparisonPage, JobStatus):
    template = "evaluation/_equivalence_status.html"


class EquivalenceCancel(ComparisonPage, JobCancel):
    service = services.cancel_equivalence
    said = "It is being cancelled. What it cost so far stays in the ledger."


class EquivalenceRetry(ComparisonPage, JobRetry):
    service = services.retry_equivalence
