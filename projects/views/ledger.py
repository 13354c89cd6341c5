"""The ledger line by line, its exports, and corrections."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from projects import forms
from projects.domain.errors import Refused
from projects.models import LedgerEntry
from projects.pages import ProjectPage
from projects.selectors import exports
from projects.selectors import ledger as selectors
from projects.services import budget as services

LINES = 25


class LedgerPage(ProjectPage):
    room = "costs"

    def wanted(self) -> tuple[forms.LedgerFilter, dict[str, Any]]:
        months, outcomes = selectors.months(self.project), selectors.outcomes(self.project)
        form = forms.LedgerFilter(self.request.GET, months=months, outcomes=outcomes)
        form.is_valid()  # what is not valid is left out: a link may have been cut when it was passed on
        return form, form.cleaned_data


class LedgerList(LedgerPage):
    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        form, wanted = self.wanted()
        found = selectors.lines(self.project, **wanted)
        page = selectors.page(found, request.GET.get("cursor", ""), LINES)
        filters = {name: value for name, value in wanted.items() if value}
        context = {
            "form": form,
            "page": page,
            "lines": selectors.with_urls(page.lines),
            "sums": selectors.sums(found),
            "filtered": bool(filters),
            "filters": forms.query(filters),
            "before": forms.query(filters | {"cursor": page.before}) if page.before else "",
            "after": forms.query(filters | {"cursor": page.after}) if page.after else "",
        }
        return self.render("projects/ledger.html", context)


class LedgerLine(LedgerPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return self.page(pk, forms.CorrectionForm())

    def page(self, pk: int, form: forms.CorrectionForm, status: int = 200) -> HttpResponse:
        line = self.line(pk)
        context = {
            "line": line,
            "url": selectors.with_urls([line])[0][1],
            "phases": selectors.phases_of(line),
            "corrections": selectors.corrections(line),
            "form": form,
        }
        return self.render("projects/ledger_line.html", context, status=status)

    def line(self, pk: int) -> LedgerEntry:
        return get_object_or_404(selectors.lines(self.project).select_related("corrects"), pk=pk)


class LedgerCorrect(LedgerLine):
    service = services.correct_line
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        line, form = self.line(pk), forms.CorrectionForm(request.POST)
        if not form.is_valid():
            return self.page(pk, form, status=400)
        try:
            self.service(line, by=request.user, **form.cleaned_data)
        except Refused as refused:
            forms.add_refusal(form, refused)
            return self.page(pk, form, status=refused.status)
        messages.success(request, "The correction is booked as a line of its own.")
        return redirect("ledger-line", self.project.slug, pk)


class LedgerExport(LedgerPage):
    """Every line that the filters let through, for spreadsheets."""

    name = "ledger"

    def get(self, request: HttpRequest, project: str) -> StreamingHttpResponse:
        _, wanted = self.wanted()
        rows = self.rows(selectors.lines(self.project, **wanted))
        response = StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8")
        name = f"{self.project.slug}-{self.name}-{timezone.now():%Y-%m-%d}.csv"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    def rows(self, found: Any) -> Any:
        return exports.plain_csv(found)


class FocusExport(LedgerExport):
    """The same in the columns of FOCUS."""

    name = "focus"

    def rows(self, found: Any) -> Any:
        return exports.focus_csv(self.project, found)
