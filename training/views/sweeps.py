"""Pages of sweeps: the list, the plan, and the sweep itself while it goes on."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from projects.domain.errors import Refused
from projects.domain.states import JobState
from projects.pages import ProjectPage
from training import forms, pages, selectors, services
from training.models import Sweep

PAGE = 25


class SweepList(ProjectPage):
    room = "training"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        page = Paginator(selectors.sweeps(self.project), PAGE).get_page(request.GET.get("page"))
        context = {"page": page, "rows": pages.sweep_list(list(page.object_list)), **self.there()}
        return self.render("training/sweeps.html", context)

    def there(self) -> dict[str, bool]:
        return {
            "has_bases": selectors.ready_bases(self.project).exists(),
            "has_data": selectors.trainable_versions(self.project).exists(),
        }


class SweepCreate(SweepList):
    service = services.create_sweep
    permission = services.create_sweep.permission

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        initial = forms.initial_run(self.project) | {"name": f"sweep {self.project.sweeps.count() + 1}"}
        return self.page(forms.SweepForm(project=self.project, initial=initial))

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = forms.SweepForm(request.POST, project=self.project)
        if form.is_valid():
            try:
                return redirect(self.service(self.project, by=request.user, **form.parts))
            except Refused as refused:
                form.refuse(refused)
        return self.page(form, status=400)

    def page(self, form: forms.SweepForm, status: int = 200) -> HttpResponse:
        return self.render("training/sweep_create.html", {"form": form, **self.there()}, status=status)


class SweepPage(ProjectPage):
    room = "training"

    def sweep(self, pk: int) -> Sweep:
        return get_object_or_404(selectors.sweeps(self.project), pk=pk)


class SweepDetail(SweepPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        sweep, now = self.sweep(pk), timezone.now()
        context: dict[str, Any] = pages.sweep_page(sweep, now)
        context |= {"facts": pages.sweep_facts(sweep), "shared": pages.shared_facts(sweep)}
        if sweep.state == JobState.DRAFT:
            context |= pages.sweep_draft(sweep, now)
        return self.render("training/sweep.html", context)


class SweepStatus(SweepPage):
    """All that changes while a sweep goes on; polled by every viewer, computed from rows."""

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        sweep = self.sweep(pk)
        answer = self.render("training/_sweep_status.html", pages.sweep_page(sweep, timezone.now()))
        if not sweep.is_active:
            answer["HX-Refresh"] = "true"  # only a page of one that went on asks, and its buttons are out of date
        return answer


class SweepStart(SweepPage):
    service = services.start_sweep
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        reasons = {name: request.POST.get(name, "")[:2000] for name in ("leak_reason", "budget_reason")}
        return redirect(self.service(self.sweep(pk), by=request.user, **reasons))


class SweepCancel(SweepPage):
    service = services.cancel_sweep
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        form = forms.ReasonForm(request.POST)
        reason = form.cleaned_data["reason"] if form.is_valid() else ""
        return redirect(self.service(self.sweep(pk), by=request.user, reason=reason))


class SweepRepeat(SweepPage):
    service = services.repeat_winner
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        run = self.service(self.sweep(pk), by=request.user)
        messages.success(request, f"A draft with seed {run.recipe['seed']}. Start it when you have seen what it takes.")
        return redirect(run)


class SweepDelete(SweepPage):
    service = services.delete_sweep
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        sweep = self.sweep(pk)
        self.service(sweep, by=request.user)
        messages.success(request, f"{sweep} is deleted. Its runs stay.")
        return redirect("sweep-list", project=self.project.slug)
