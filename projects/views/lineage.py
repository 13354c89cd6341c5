"""Withdrawing nodes of the lineage, taking that back, and everything that was ever withdrawn."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from projects.forms import WithdrawForm
from projects.pages import ProjectPage
from projects.services import lineage

PAGE = 50


class WithdrawalList(ProjectPage):
    """What was withdrawn, the newest first; posting withdraws a node."""

    room = "lineage"
    service = lineage.withdraw_node

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        found = self.project.withdrawals.select_related("by", "lifted_by", "project")
        page = Paginator(found, PAGE).get_page(request.GET.get("page"))
        return self.render("projects/withdrawals.html", {"page": page})

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = WithdrawForm(request.POST)
        form.is_valid()
        withdrawal = self.service(self.project, by=request.user, **form.given)
        messages.success(request, f"{withdrawal.label} is {withdrawal.get_cause_display()}. Its descendants say so.")
        return redirect(withdrawal)


class WithdrawalLift(ProjectPage):
    room = "lineage"
    service = lineage.reinstate_node
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        withdrawal = get_object_or_404(self.project.withdrawals.select_related("project"), pk=pk)
        lifted = self.service(withdrawal, by=request.user, reason=request.POST.get("reason", "")[:4000])
        messages.success(request, f"{lifted.label} may be used again. Its descendants carry this no longer.")
        return redirect(lifted)
