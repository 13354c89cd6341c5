"""Pages of versions: what is in them, row by row, and the recipe that makes the next one."""

from django.contrib import messages
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect

from datasets_app import pages, services
from datasets_app.models import DatasetVersion
from projects.domain.errors import Invalid
from projects.pages import ProjectPage


class VersionPage(ProjectPage):
    """What the pages of one version share."""

    room = "datasets"

    def version(self, pk) -> DatasetVersion:
        versions = DatasetVersion.every.select_related("dataset__project", "created_by")
        return get_object_or_404(versions, dataset__project=self.project, pk=pk)


class VersionDetail(VersionPage):
    def get(self, request, project, pk):
        return self.render("datasets/version_detail.html", pages.version_page(self.version(pk)))


class VersionRows(VersionPage):
    """The rows, searched and paged; by themselves for htmx."""

    def get(self, request, project, pk):
        template = "datasets/_version_rows.html" if request.htmx else "datasets/version_rows.html"
        return self.render(template, pages.version_rows_page(self.version(pk), request.GET))


class RowDetail(VersionPage):
    def get(self, request, project, pk, index):
        context = pages.row_page(self.version(pk), index)
        if context is None:
            raise Http404
        return self.render("datasets/row_detail.html", context)


class VersionClean(VersionPage):
    """Follows one step or several, as `step` fields: "dedupe", "drop_finding:code", "drop_overlap:3,4"."""

    service = services.clean_version

    def post(self, request, project, pk):
        version = self.version(pk)
        build = self.service(version, by=request.user, steps=[read_step(text) for text in request.POST.getlist("step")])
        messages.info(request, "The new version is being made. This page shows it when it is there.")
        return redirect(build)


def read_step(text: str) -> dict:
    op, _, argument = text.partition(":")
    if op == "drop_finding":
        return {"op": op, "code": argument}
    if op != "drop_overlap":
        return {"op": op}
    ids = argument.split(",")
    if not all(pk.isascii() and pk.isdigit() and len(pk) < 19 for pk in ids):
        raise Invalid("A golden set is named by its number.", field="step")
    return {"op": op, "golden": [int(pk) for pk in ids]}
