"""Models made of an adapter: having one made, stopping that, trying again, fetching, removing; bills and cards."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect

from projects.domain.errors import Refused
from projects.pages import ProjectPage
from training import selectors, services, serving
from training.domain.derived import Kind
from training.models import DerivedModel
from training.views.adapters import AdapterPage

POST_ONLY = ["post", "options"]


class DerivedPage(ProjectPage):
    room = "adapters"

    def row(self, pk: int) -> DerivedModel:
        return get_object_or_404(selectors.derived_models(self.project), pk=pk)


class DerivedMake(AdapterPage):
    service = services.make_derived
    http_method_names = POST_ONLY

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        adapter = self.adapter(pk)
        reason = request.POST.get("budget_reason", "")[:2000]
        kind = request.POST.get("kind", "")
        try:
            row = self.service(adapter, by=request.user, kind=kind, budget_reason=reason)
        except Refused as refused:
            if refused.code != "over_budget":
                raise
            context = {"adapter": adapter, "kind": Kind(kind), "message": refused.message}
            return self.render("training/derived_make.html", context, status=refused.status)
        what = "waits for an owner's yes" if row.state == "held" else "is being made"
        messages.success(request, f"{row} {what}. You may leave; it goes on without you.")
        return redirect(f"{adapter.get_absolute_url()}#derived")


class DerivedCancel(DerivedPage):
    service = services.cancel_derived
    http_method_names = POST_ONLY

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        row = self.row(pk)
        self.service(row, by=request.user, reason=request.POST.get("reason", "")[:2000])
        messages.success(request, "It is being cancelled. What it cost so far stays in the ledger.")
        return redirect(f"{row.adapter.get_absolute_url()}#derived")


class DerivedRetry(DerivedPage):
    service = services.retry_derived
    http_method_names = POST_ONLY

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        row = self.row(pk)
        self.service(row, by=request.user, budget_reason=request.POST.get("budget_reason", "")[:2000])
        return redirect(f"{row.adapter.get_absolute_url()}#derived")


class DerivedDelete(DerivedPage):
    service = services.delete_derived
    http_method_names = POST_ONLY

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        row = self.row(pk)
        address, name = row.adapter.get_absolute_url(), str(row)
        self.service(row, by=request.user)
        messages.success(request, f"{name} and its files are deleted.")
        return redirect(f"{address}#derived")


class DerivedDownload(DerivedPage):
    """The whole model as one archive, made while it is sent; every file is checked first."""

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponseBase:
        return serving.whole(self.row(pk))


class DerivedFile(DerivedPage):
    """One file of it, whole or the range that was asked for, so that a broken download goes on."""

    def get(self, request: HttpRequest, project: str, pk: int, name: str) -> HttpResponseBase:
        return serving.one_file(self.row(pk), name, request.headers.get("Range", ""))


class AdapterBill(AdapterPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return serving.bill(self.adapter(pk))


class AdapterCard(AdapterPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return serving.card(self.adapter(pk))


class DerivedBill(DerivedPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return serving.bill(self.row(pk))


class DerivedCard(DerivedPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return serving.card(self.row(pk))
