"""An owner's yes or no to work beyond the month's budget."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from projects import forms
from projects.models import BudgetRequest
from projects.pages import ProjectPage
from projects.selectors import budget as selectors
from projects.services import budget as services


class RequestPage(ProjectPage):
    room = "costs"

    def asked(self, pk: int) -> BudgetRequest:
        return get_object_or_404(selectors.requests(self.project), pk=pk)


class BudgetRequestDetail(RequestPage):
    """What was asked and answered; it stays when the work that it was about is gone."""

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        asked = self.asked(pk)
        context = {"asked": asked, "url": selectors.url_of(asked), "money": selectors.of_request(asked, timezone.now())}
        return self.render("projects/budget_request.html", context)


class Decide(RequestPage):
    http_method_names = ["post", "options"]
    said = ""

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        asked, form = self.asked(pk), forms.ReasonForm(request.POST)
        reason = form.cleaned_data["reason"] if form.is_valid() else ""
        service: Any = self.service
        service(asked, by=request.user, reason=reason)
        messages.success(request, self.said.format(asked.job_text))
        return redirect(selectors.url_of(asked) or asked.get_absolute_url())


class BudgetRequestApprove(Decide):
    service = services.approve_request
    said = "{} starts as soon as a worker is free."


class BudgetRequestDecline(Decide):
    service = services.decline_request
    said = "{} does not start. Whoever asked sees why."


class BudgetRequestWithdraw(Decide):
    service = services.withdraw_request
    said = "Your request for {} is withdrawn."
