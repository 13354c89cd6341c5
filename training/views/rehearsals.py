"""Rehearsals: asked for from the form of a new run or from a draft, followed live, read afterwards."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from projects.domain.errors import Refused
from projects.pages import ProjectPage
from training import forms, pages, selectors, services
from training.models import Rehearsal


class RehearsalCreate(ProjectPage):
    """Rehearse what stands in the form; answers with its progress, in place of the button."""

    room = "training"
    service = services.rehearse
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = forms.RunForm(request.POST, project=self.project)
        form.is_valid()
        data = form.cleaned_data
        base, version = data.get("base"), data.get("dataset_version")
        try:
            if not base or not version:
                raise Refused("Choose training data and a base model first.", code="incomplete")
            parts = {"base": base, "version": version, "recipe": form.recipe, "parent": data.get("parent")}
            rehearsal = self.service(self.project, by=request.user, **parts)
        except (Refused, KeyError) as problem:
            text = problem.message if isinstance(problem, Refused) else "Fill in the numbers marked in the form."
            return self.render("training/_rehearsal.html", {"problem": text})
        if not getattr(request, "htmx", False):
            return redirect(rehearsal)
        return self.render("training/_rehearsal.html", {"rehearsal": rehearsal})


class RehearsalPage(ProjectPage):
    room = "training"

    def rehearsal(self, pk: int) -> Rehearsal:
        rows = self.project.rehearsals.select_related("project", "base", "dataset_version__dataset", "asked_by")
        return get_object_or_404(rows, pk=pk)


class RehearsalDetail(RehearsalPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        rehearsal = self.rehearsal(pk)
        return self.render("training/rehearsal.html", pages.rehearsal_page(rehearsal, timezone.now()))


class RehearsalStatus(RehearsalPage):
    """What changes while it runs; the last answer tells the page around it that there is something new."""

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        rehearsal = self.rehearsal(pk)
        answer = self.render("training/_rehearsal.html", {"rehearsal": rehearsal})
        if rehearsal.is_over:
            answer["HX-Trigger"] = "rehearsal-over"
        return answer


class RehearsalCancel(RehearsalPage):
    service = services.cancel_rehearsal
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        rehearsal = self.service(self.rehearsal(pk), by=request.user)
        if not getattr(request, "htmx", False):
            return redirect(rehearsal)
        return self.render("training/_rehearsal.html", {"rehearsal": rehearsal})


class RunRehearse(ProjectPage):
    """Rehearse a draft, with the decision about its rows if it still needs one."""

    room = "training"
    service = services.rehearse_run
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        run = get_object_or_404(selectors.runs(self.project), pk=pk)
        form = forms.CutForm(request.POST)
        cut = form.cleaned_data["cut"] if form.is_valid() else None
        self.service(run, by=request.user, cut=cut or None)
        return redirect(run)


class Calibration(ProjectPage):
    """How good past projections were."""

    room = "training"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        context: dict[str, Any] = pages.calibration_page(self.project, request.GET.get("quantity", ""))
        return self.render("training/calibration.html", context)
