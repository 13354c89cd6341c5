"""Pages of slots: what is live where, its history, and the way back."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from deployments import forms, services
from deployments.models import Deployment, Slot
from deployments.selectors import reviews, slots
from projects.domain.errors import Refused
from projects.forms import add_refusal
from projects.pages import ProjectPage

HISTORY = 50


class DeploymentList(ProjectPage):
    room = "deployments"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        context = {
            "cards": slots.cards(self.project),
            "requests": reviews.requests(self.project)[:HISTORY],
            "adapters": self.project.adapters.exists(),
        }
        return self.render("deployments/home.html", context)


class SlotCreate(ProjectPage):
    room = "deployments"
    service = services.create_slot
    permission = services.create_slot.permission

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.render("deployments/slot_create.html", {"form": forms.SlotForm()})

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = forms.SlotForm(request.POST)
        if form.is_valid():
            try:
                slot = self.service(self.project, by=request.user, **form.cleaned_data)
            except Refused as refused:
                add_refusal(form, refused)
            else:
                return redirect(slot)
        return self.render("deployments/slot_create.html", {"form": form}, status=400)


class SlotPage(ProjectPage):
    room = "deployments"

    def slot(self, pk: int) -> Slot:
        return get_object_or_404(Slot.objects.select_related("project"), project=self.project, pk=pk)

    def context(self, slot: Slot) -> dict[str, Any]:
        live = slots.live(slot)
        targets = slots.rollback_targets(slot)
        return {
            "slot": slot,
            "live": live,
            "otherwise": slots.otherwise(live),
            "switching": slots.switching(slot),
            "drifted": slots.drifted(slot, live),
            "serving": slots.serving(slot),
            "history": slots.history(slot)[:HISTORY],
            "targets": {deployment.pk for deployment in targets},
            "previous": targets[0] if targets else None,
            "requests": reviews.requests(self.project).filter(slot=slot)[:HISTORY],
        }


class SlotDetail(SlotPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return self.render("deployments/slot.html", self.context(self.slot(pk)))


class SlotStatus(SlotPage):
    """The part of the page that changes while the slot is being switched."""

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return self.render("deployments/_slot_status.html", self.context(self.slot(pk)))


class SlotRollback(SlotPage):
    service = services.roll_back
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        slot, form = self.slot(pk), forms.RollbackForm(request.POST)
        if not form.is_valid():
            return self.render("deployments/slot.html", self.context(slot), status=400)
        to = form.cleaned_data["to"]
        target = get_object_or_404(Deployment, slot=slot, pk=to) if to else None
        rollback = self.service(slot, by=request.user, reason=form.cleaned_data["reason"], to=target)
        messages.success(request, f"{slot} goes back to {rollback.adapter}.")
        return redirect(slot)
