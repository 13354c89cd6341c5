"""Webhooks of a project: endpoints, what became of their deliveries, and what there is to hear of."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from projects import forms
from projects.domain import retries
from projects.domain.errors import Refused
from projects.domain.permissions import Permission
from projects.models import Delivery, WebhookEndpoint
from projects.pages import ProjectPage
from projects.selectors import webhooks as selectors
from projects.services import webhooks as services

LINES = 30


def _kinds() -> list[tuple[str, str]]:
    known = [kind for _, kinds in selectors.catalogue() for kind in kinds]
    return [(kind.name, f"{kind.name}: {kind.meaning}") for kind in known if kind.can_be_chosen]


class WebhookPage(ProjectPage):
    room = "settings"
    permission = Permission.WEBHOOK_USE

    def endpoint(self, pk: int) -> WebhookEndpoint:
        return get_object_or_404(selectors.endpoints(self.project), pk=pk)

    def detail(self, endpoint: WebhookEndpoint, status: int = 200, **more: Any) -> HttpResponse:
        found = selectors.deliveries(endpoint, state=self.request.GET.get("state", ""))
        page = Paginator(found, LINES).get_page(self.request.GET.get("page"))
        context = {
            "endpoint": endpoint,
            "page": page,
            "rotate_form": forms.RotateForm(),
            "state": self.request.GET.get("state", ""),
            "now": timezone.now(),
        }
        return self.render("projects/webhook.html", context | more, status=status)

    def back(self, endpoint: WebhookEndpoint, message: str) -> HttpResponse:
        messages.success(self.request, message)
        return redirect(endpoint)


class WebhookList(WebhookPage):
    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.render("projects/webhooks.html", {"endpoints": selectors.endpoints(self.project)})


class EventCatalogue(ProjectPage):
    room = "settings"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.render("projects/events.html", {"groups": selectors.catalogue()})


@method_decorator(never_cache, name="dispatch")
class WebhookCreate(WebhookPage):
    permission = Permission.WEBHOOK_MANAGE
    service = services.create_endpoint

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.page(forms.WebhookForm(kinds=_kinds(), initial={"events": ["*"]}))

    def page(self, form: forms.WebhookForm, status: int = 200) -> HttpResponse:
        return self.render("projects/webhook_form.html", {"form": form}, status=status)

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = forms.WebhookForm(request.POST, kinds=_kinds())
        if not form.is_valid():
            return self.page(form, status=400)
        try:
            endpoint, secret = self.service(self.project, by=request.user, **form.cleaned_data)
        except Refused as refused:
            forms.add_refusal(form, refused)
            return self.page(form, status=refused.status)
        return self.detail(self.endpoint(endpoint.pk), secret=secret)  # shown in this very answer, and never again


class WebhookDetail(WebhookPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return self.detail(self.endpoint(pk))


class WebhookChange(WebhookPage):
    permission = Permission.WEBHOOK_MANAGE
    service = services.change_endpoint

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        endpoint = self.endpoint(pk)
        initial = {name: getattr(endpoint, name) for name in ("url", "description", "events")}
        return self.page(endpoint, forms.WebhookForm(kinds=_kinds(), initial=initial))

    def page(self, endpoint: WebhookEndpoint, form: forms.WebhookForm, status: int = 200) -> HttpResponse:
        return self.render("projects/webhook_form.html", {"form": form, "endpoint": endpoint}, status=status)

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        endpoint, form = self.endpoint(pk), forms.WebhookForm(request.POST, kinds=_kinds())
        if not form.is_valid():
            return self.page(endpoint, form, status=400)
        try:
            self.service(endpoint, by=request.user, **form.cleaned_data)
        except Refused as refused:
            forms.add_refusal(form, refused)
            return self.page(endpoint, form, status=refused.status)
        return self.back(endpoint, "The webhook is changed. What waits goes by what it says now.")


@method_decorator(never_cache, name="dispatch")
class WebhookRotate(WebhookPage):
    service = services.rotate_secret
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        endpoint, form = self.endpoint(pk), forms.RotateForm(request.POST)
        if not form.is_valid():
            return self.detail(endpoint, status=400, rotate_form=form)
        secret = self.service(endpoint, by=request.user, **form.cleaned_data)
        return self.detail(self.endpoint(pk), secret=secret)


class WebhookCommand(WebhookPage):
    """A button about one endpoint."""

    http_method_names = ["post", "options"]
    takes_reason = False
    said = ""

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        endpoint = self.endpoint(pk)
        given = {"reason": request.POST.get("reason", "")[:2000]} if self.takes_reason else {}
        service: Any = self.service
        service(endpoint, by=request.user, **given)
        return self.back(endpoint, self.said)


class WebhookPing(WebhookCommand):
    service = services.ping_endpoint
    said = "A test is on its way. Reload the page in a few seconds to see what came back."


class WebhookPause(WebhookCommand):
    service = services.pause_endpoint
    takes_reason = True
    said = "Paused. What happens until you resume it is not told."


class WebhookResume(WebhookCommand):
    service = services.resume_endpoint
    said = "Resumed. What waited is sent now."


class WebhookDelete(WebhookPage):
    service = services.delete_endpoint
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        endpoint = self.endpoint(pk)
        self.service(endpoint, by=request.user, reason=request.POST.get("reason", "")[:2000])
        messages.success(request, "The webhook is deleted. It is told nothing more.")
        return redirect("webhook-list", self.project.slug)


class DeliveryPage(WebhookPage):
    def delivery(self, pk: int, delivery: int) -> Delivery:
        return get_object_or_404(selectors.deliveries(self.endpoint(pk)), pk=delivery)


class WebhookDelivery(DeliveryPage):
    def get(self, request: HttpRequest, project: str, pk: int, delivery: int) -> HttpResponse:
        found = self.delivery(pk, delivery)
        context = {"delivery": found, "tries": found.tries.order_by("-pk"), "most": retries.MAX_ATTEMPTS}
        return self.render("projects/webhook_delivery.html", context)


class DeliveryAgain(DeliveryPage):
    service = services.send_again
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int, delivery: int) -> HttpResponse:
        again = self.service(self.delivery(pk, delivery), by=request.user)
        messages.success(request, "It is sent again, with the same id. Reload the page in a few seconds.")
        return redirect(again)
