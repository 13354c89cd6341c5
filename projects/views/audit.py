"""The audit log of a project."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from projects import forms
from projects.domain.permissions import Permission
from projects.pages import ProjectPage
from projects.selectors import audit as selectors

LINES = 50


class AuditList(ProjectPage):
    room = "settings"
    permission = Permission.AUDIT_VIEW

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        form = forms.AuditFilter(request.GET, actions=selectors.actions(self.project))
        wanted = form.cleaned_data if form.is_valid() else {}
        page = Paginator(selectors.events(self.project, **wanted), LINES).get_page(request.GET.get("page"))
        lines = [(event, selectors.words(event.detail)) for event in page]
        context = {"form": form, "page": page, "lines": lines, "filtered": any(wanted.values())}
        return self.render("projects/audit.html", context)
