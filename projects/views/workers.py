"""The page of the workers: what is running where, what waits and why."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from projects.models import Host
from projects.pages import InstallationPage
from projects.selectors import queue, workers
from projects.services import hosts as services


class WorkerPage(InstallationPage):
    def floor(self) -> workers.Floor:
        return workers.floor(queue.visible_projects(self.request.user))  # type: ignore[arg-type]

    def shown(self, floor: workers.Floor) -> dict[str, Any]:
        return {"floor": floor, "known": ",".join(str(view.host.pk) for view in floor.hosts)}


class WorkerList(WorkerPage):
    def get(self, request: HttpRequest) -> HttpResponse:
        return self.render("projects/workers.html", self.shown(self.floor()))


class WorkerStatus(WorkerPage):
    """All that changes; polled. When hosts come or go the whole page is read again, for its dialogs."""

    def get(self, request: HttpRequest) -> HttpResponse:
        context = self.shown(self.floor())
        response = self.render("projects/_workers.html", context)
        if request.GET.get("known", context["known"]) != context["known"]:
            response["HX-Refresh"] = "true"
        return response


class HostPage(InstallationPage):
    http_method_names = ["post", "options"]

    def host(self, pk: int) -> Host:
        return get_object_or_404(workers.hosts(), pk=pk)


class HostDrain(HostPage):
    service = services.drain_host

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        host = self.service(self.host(pk), by=request.user, reason=request.POST.get("reason", "")[:2000])
        messages.success(request, f"{host} takes nothing new. What runs there goes on to its end.")
        return redirect("worker-list")


class HostResume(HostPage):
    service = services.resume_host

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        host = self.service(self.host(pk), by=request.user)
        messages.success(request, f"{host} takes work again.")
        return redirect("worker-list")


class HostForget(HostPage):
    service = services.forget_host

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        host = self.host(pk)
        self.service(host, by=request.user)
        messages.success(request, f"{host} is forgotten. If it comes back it is listed again.")
        return redirect("worker-list")
