"""Pages of upgrades: what follows what, the plan of two bases, orders at work, and the report."""

import json
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.text import slugify

from deployments import forms, services
from deployments.domain import upgrade_report
from deployments.models import Upgrade
from deployments.pages import upgrades as pages
from deployments.selectors import families, reports
from projects.domain.errors import Refused
from projects.forms import add_refusal
from projects.pages import ProjectPage
from training import selectors as training
from training.models import BaseModelVersion

PAGE = 20


class UpgradeRoom(ProjectPage):
    room = "adapters"

    def base(self, pk: int) -> BaseModelVersion:
        return get_object_or_404(training.bases(self.project).select_related("anatomy"), pk=pk)

    def home(self, form: forms.SuccessorForm | None = None, status: int = 200) -> HttpResponse:
        page = Paginator(families.upgrades(self.project), PAGE).get_page(self.request.GET.get("page"))
        context = {
            "pairs": families.pairs(self.project),
            "page": page,
            "declared": families.successions(self.project),
            "form": form or forms.SuccessorForm(project=self.project),
            "has_two": training.ready_bases(self.project).count() > 1,
        }
        return self.render("deployments/upgrades.html", context, status=status)

    def plan(
        self, old: BaseModelVersion, new: BaseModelVersion, form: forms.OrderForm | None = None, status: int = 200
    ) -> HttpResponse:
        form = form or forms.OrderForm(old=old)
        golden = form.fields["golden"].queryset.first()  # type: ignore[attr-defined]
        context = pages.plan_page(old, new, timezone.now(), golden) | {"form": form}
        return self.render("deployments/upgrade_plan.html", context, status=status)


class UpgradeList(UpgradeRoom):
    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.home()


class SuccessorDeclare(UpgradeRoom):
    service = services.declare_successor
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = forms.SuccessorForm(request.POST, project=self.project)
        if not form.is_valid():
            return self.home(form, status=400)
        old, new = form.cleaned_data["old"], form.cleaned_data["new"]
        try:
            self.service(old, by=request.user, new=new)
        except Refused as refused:
            add_refusal(form, refused)
            return self.home(form, status=refused.status)
        return redirect("upgrade-plan", project=self.project.slug, old=old.pk, new=new.pk)


class SuccessorWithdraw(UpgradeRoom):
    service = services.withdraw_successor
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        row = get_object_or_404(self.project.successions.select_related("project", "old", "new"), pk=pk)
        self.service(row, by=request.user)
        messages.success(request, f"Nobody says any more that {row.new} follows {row.old}.")
        return redirect("upgrade-list", project=self.project.slug)


class UpgradePlan(UpgradeRoom):
    def get(self, request: HttpRequest, project: str, old: int, new: int) -> HttpResponse:
        if old == new:
            raise Http404
        return self.plan(self.base(old), self.base(new))


class UpgradeStart(UpgradeRoom):
    service = services.start_upgrade
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, old: int, new: int) -> HttpResponse:
        one, other = self.base(old), self.base(new)
        form = forms.OrderForm(request.POST, old=one)
        if not form.is_valid():
            return self.plan(one, other, form, status=400)
        try:
            upgrade = self.service(one, by=request.user, new=other, **form.order)
        except Refused as refused:
            form.refuse(refused)
            return self.plan(one, other, form, status=refused.status)
        if upgrade.started_by_id not in {None, request.user.pk}:
            messages.info(request, f"{upgrade.started_by} has ordered the same already; here it is.")
        return redirect(upgrade)


class UpgradeReport(UpgradeRoom):
    def get(self, request: HttpRequest, project: str, old: int, new: int) -> HttpResponse:
        report = reports.pair_report(self.base(old), self.base(new))
        return self.render("deployments/upgrade_report.html", pages.report_page(report))


class UpgradeReportFile(UpgradeRoom):
    """The report as a file: JSON for programs, Markdown for a ticket."""

    def get(self, request: HttpRequest, project: str, old: int, new: int, form: str) -> HttpResponse:
        if form not in {"json", "md"}:
            raise Http404
        told = reports.pair_report(self.base(old), self.base(new)).as_dict()
        text = upgrade_report.markdown(told) if form == "md" else json.dumps(told, ensure_ascii=False, indent=1)
        kind = "text/markdown" if form == "md" else "application/json"
        response = HttpResponse(text, content_type=f"{kind}; charset=utf-8")
        name = slugify(f"{told['old']['name']} to {told['new']['name']}")[:100] or "upgrade"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
        return response


# One order


class UpgradePage(ProjectPage):
    room = "adapters"

    def upgrade(self, pk: int) -> Upgrade:
        return get_object_or_404(families.upgrades(self.project), pk=pk)

    def context(self, pk: int) -> dict[str, Any]:
        return pages.upgrade_page(self.upgrade(pk), timezone.now())


class UpgradeDetail(UpgradePage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return self.render("deployments/upgrade.html", self.context(pk))


class UpgradeStatus(UpgradePage):
    """All that changes while an order goes on; polled by every viewer, computed from rows."""

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        context = self.context(pk)
        response = self.render("deployments/_upgrade_status.html", context)
        if context["upgrade"].is_over:
            response["HX-Refresh"] = "true"  # its buttons are others now
        return response


class UpgradePause(UpgradePage):
    service = services.pause_upgrade
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return redirect(self.service(self.upgrade(pk), by=request.user, reason=request.POST.get("reason", "")[:2000]))


class UpgradeResume(UpgradePage):
    service = services.resume_upgrade
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return redirect(self.service(self.upgrade(pk), by=request.user))


class UpgradeCancel(UpgradePage):
    service = services.cancel_upgrade
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        upgrade = self.upgrade(pk)
        self.service(upgrade, by=request.user, reason=request.POST.get("reason", "")[:2000])
        messages.success(request, "The order is cancelled. What has ended stays, and what it cost is in the ledger.")
        return redirect(upgrade)


class UpgradeDelete(UpgradePage):
    service = services.delete_upgrade
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        upgrade = self.upgrade(pk)
        old, new = upgrade.old_id, upgrade.new_id
        self.service(upgrade, by=request.user)
        return redirect("upgrade-plan", project=self.project.slug, old=old, new=new)
