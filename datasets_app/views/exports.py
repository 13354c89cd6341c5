"""Pages of versions as files: the choice with what would be lost, and the download."""

from django.shortcuts import get_object_or_404

from datasets_app import exports, pages
from datasets_app.domain.exports import Shape
from datasets_app.models import DatasetVersion
from projects.pages import ProjectPage


class ExportPage(ProjectPage):
    room = "datasets"

    def version(self, pk) -> DatasetVersion:
        versions = DatasetVersion.every.select_related("dataset__project", "created_by")
        return get_object_or_404(versions, dataset__project=self.project, pk=pk)


class VersionExport(ExportPage):
    def get(self, request, project, pk):
        template = "datasets/_export_loss.html" if request.htmx else "datasets/version_export.html"
        return self.render(template, pages.export_page(self.version(pk), request.GET.get("shape", "")))


class VersionFile(ExportPage):
    def get(self, request, project, pk):
        shape = request.GET.get("shape", Shape.TRL.value)
        return exports.version_response(self.version(pk), shape, gz=request.GET.get("gz") == "1")
