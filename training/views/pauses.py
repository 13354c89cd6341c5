"""Letting a run rest and go on."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from training import forms, services
from training.views.runs import RunPage


class RunPause(RunPage):
    service = services.pause_run
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        form = forms.ReasonForm(request.POST)
        reason = form.cleaned_data["reason"] if form.is_valid() else ""
        return redirect(self.service(self.run(pk), by=request.user, reason=reason))


class RunResume(RunPage):
    service = services.resume_run
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return redirect(self.service(self.run(pk), by=request.user))
