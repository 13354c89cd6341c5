"""Adapters that were trained on erased rows, and training them again without."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from projects.pages import ProjectPage
from training import selectors, services


class RetrainingList(ProjectPage):
    room = "adapters"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        found = selectors.retrainings(self.project)
        return self.render("training/retraining.html", {"tasks": found, "undone": len(selectors.undone(found))})


class AdapterRetrain(ProjectPage):
    room = "adapters"
    service = services.retrain_without
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        adapter = get_object_or_404(selectors.adapters(self.project), pk=pk)
        run = self.service(adapter, by=request.user, budget_reason=request.POST.get("budget_reason", "")[:2000])
        messages.success(request, f"{run} has begun: the old recipe over {run.dataset_version}.")
        return redirect(run)
