"""Pages of imported adapters: the form, and what the worker found."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from projects.domain.errors import Refused
from projects.forms import add_refusal
from projects.pages import ProjectPage
from training import forms, selectors, services
from training.models import AdapterImport

SHOWN = 20


class AdapterImportForm(ProjectPage):
    room = "adapters"
    service = services.import_adapter
    permission = services.import_adapter.permission

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.page(forms.ImportAdapterForm(project=self.project))

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form, status = forms.ImportAdapterForm(request.POST, request.FILES, project=self.project), 400
        if form.is_valid():
            try:
                return redirect(self.service(self.project, by=request.user, **form.cleaned_data))
            except Refused as refused:
                status = refused.status
                add_refusal(form, refused)
        return self.page(form, status)

    def page(self, form: forms.ImportAdapterForm, status: int = 200) -> HttpResponse:
        has_bases = selectors.ready_bases(self.project).exists()
        earlier = selectors.imports(self.project)[:SHOWN]
        context = {"form": form, "imports": earlier, "has_bases": has_bases}
        return self.render("training/adapter_import.html", context, status=status)


class ImportPage(ProjectPage):
    room = "adapters"

    def row(self, pk: int) -> AdapterImport:
        return get_object_or_404(selectors.imports(self.project), pk=pk)


class AdapterImportDetail(ImportPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return self.render("training/adapter_import_detail.html", {"row": self.row(pk)})


class AdapterImportStatus(ImportPage):
    """The part of the page that changes while the files are read."""

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        row = self.row(pk)
        response = self.render("training/_import_status.html", {"row": row})
        if row.is_over:
            response["HX-Refresh"] = "true"  # what may be done with it has changed, too
        return response


class AdapterImportRetry(ImportPage):
    service = services.retry_import
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return redirect(self.service(self.row(pk), by=request.user))


class AdapterImportDelete(ImportPage):
    service = services.delete_import
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        row = self.row(pk)
        self.service(row, by=request.user)
        messages.success(request, f"The import “{row}” and its files are gone.")
        return redirect("adapter-import", project=self.project.slug)
