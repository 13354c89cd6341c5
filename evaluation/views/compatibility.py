"""Pages of adapters × base versions: the matrix, one pair with its evidence, probing it and deciding on it."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from evaluation import pages, selectors, services
from evaluation.forms import DecisionForm, ProbeForm
from evaluation.models import Probe
from evaluation.selectors import Cell
from evaluation.views.jobs import JobCancel, JobPage, JobRetry, JobStatus
from projects.domain.errors import Refused
from projects.domain.states import ACTIVE
from projects.forms import add_refusal
from projects.pages import ProjectPage
from training import selectors as training
from training import services as deciding

PAGE = 25
EARLIER = 10


class CompatibilityPage(ProjectPage):
    room = "adapters"

    def cell(self, adapter: int, base: int) -> Cell:
        return selectors.cell(
            get_object_or_404(training.adapters(self.project), pk=adapter),
            get_object_or_404(self.project.bases.select_related("anatomy", "project"), pk=base),
        )

    def pair(
        self, cell: Cell, probe: ProbeForm | None = None, decision: DecisionForm | None = None, status: int = 200
    ) -> HttpResponse:
        probes = selectors.probes(self.project).filter(adapter=cell.adapter, base=cell.base)
        context = {
            "cell": cell,
            "comparison": training.compared_bases(cell.adapter.base, cell.base),
            "probes": probes[:EARLIER],
            "at_work": probes.filter(state__in=ACTIVE).first(),
            "measured": pages.measured(cell.probe) if cell.probe else None,
            "proofs": training.proofs(cell.adapter),
            "decisions": training.decisions(self.project).filter(adapter=cell.adapter, base=cell.base)[:EARLIER],
            "probe_form": probe or ProbeForm(project=self.project),
            "decision_form": decision or DecisionForm(),
            "has_golden": selectors.versions(self.project, "golden").exists(),
        }
        return self.render("evaluation/pair.html", context, status=status)


class Matrix(CompatibilityPage):
    """Which adapter stands on which version, and what it would be on the others."""

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        page = Paginator(training.adapters(self.project), PAGE).get_page(request.GET.get("page"))
        bases = selectors.bases_of_matrix(self.project)
        rows = selectors.cells(self.project, list(page.object_list), bases)
        context = {
            "page": page,
            "bases": bases,
            "rows": rows,
            "sums": pages.matrix_sums(rows),
            "more": self.project.bases.filter(state="succeeded").count() - len(bases),
        }
        return self.render("evaluation/compatibility.html", context)


class PairDetail(CompatibilityPage):
    def get(self, request: HttpRequest, project: str, adapter: int, base: int) -> HttpResponse:
        return self.pair(self.cell(adapter, base))


class PairProbe(CompatibilityPage):
    service = services.probe_pair
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, adapter: int, base: int) -> HttpResponse:
        cell, form = self.cell(adapter, base), ProbeForm(request.POST, project=self.project)
        if not form.is_valid():
            return self.pair(cell, probe=form, status=400)
        try:
            probe = self.service(cell.adapter, by=request.user, base=cell.base, **form.cleaned_data)
        except Refused as refused:
            add_refusal(form, refused)
            return self.pair(cell, probe=form, status=refused.status)
        return redirect(probe)


class PairDecide(CompatibilityPage):
    service = deciding.decide_on_base
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, adapter: int, base: int) -> HttpResponse:
        cell, form = self.cell(adapter, base), DecisionForm(request.POST)
        if not form.is_valid():
            return self.pair(cell, decision=form, status=400)
        try:
            self.service(cell.adapter, by=request.user, base=cell.base, **form.cleaned_data)
        except Refused as refused:
            add_refusal(form, refused)
            return self.pair(cell, decision=form, status=refused.status)
        messages.success(request, "The decision is written down. Every result of this pair says so.")
        return redirect(reverse("compatibility-pair", args=[self.project.slug, adapter, base]))


class ProbePage(JobPage):
    room = "adapters"

    def one(self, pk: int) -> Probe:
        return get_object_or_404(selectors.probes(self.project), pk=pk)

    def status(self, job: Probe) -> dict[str, Any]:
        return {"probe": job}


class ProbeStatus(ProbePage, JobStatus):
    template = "evaluation/_probe_status.html"


class ProbeCancel(ProbePage, JobCancel):
    service = services.cancel_probe
    said = "The probe is being cancelled. What it cost so far stays in the ledger."


class ProbeRetry(ProbePage, JobRetry):
    service = services.retry_probe
