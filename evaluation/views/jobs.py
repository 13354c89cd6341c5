"""What pages of every kind of background work have alike: its polled state, stopping it, and trying it again."""

from typing import Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from projects.pages import ProjectPage


class JobPage(ProjectPage):
    """A page about one job of a kind."""

    def one(self, pk: int) -> Any:
        raise NotImplementedError

    def status(self, job: Any) -> dict[str, Any]:
        """What its polled part shows."""
        raise NotImplementedError


class JobStatus(JobPage):
    """The polled fragment. Once it is over the page is loaded again, now with the result."""

    template: ClassVar[str]

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        job = self.one(pk)
        response = self.render(self.template, self.status(job))
        if job.is_over:
            response["HX-Refresh"] = "true"
        return response


class JobCancel(JobPage):
    service: ClassVar[Any]
    said: ClassVar[str]
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        job = self.one(pk)
        self.service(job, by=request.user, reason=request.POST.get("reason", "")[:2000])
        messages.success(request, self.said)
        return redirect(job)


class JobRetry(JobPage):
    service: ClassVar[Any]
    said: ClassVar[str] = ""
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        job = self.one(pk)
        self.service(job, by=request.user)
        if self.said:
            messages.success(request, self.said)
        return redirect(job)
