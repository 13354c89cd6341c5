"""Pages of adapters."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.text import slugify

from projects.pages import ProjectPage
from training import archives, pages, selectors, services
from training.models import Adapter

PAGE = 25


class AdapterList(ProjectPage):
    room = "adapters"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        page = Paginator(selectors.adapters(self.project), PAGE).get_page(request.GET.get("page"))
        return self.render("training/adapters.html", {"page": page})


class AdapterPage(ProjectPage):
    room = "adapters"

    def adapter(self, pk: int) -> Adapter:
        return get_object_or_404(selectors.adapters(self.project), pk=pk)


class AdapterDetail(AdapterPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        adapter = self.adapter(pk)
        context = {
            "adapter": adapter,
            "files": sorted(adapter.manifest["files"].items()),
            "server": selectors.rank_summary(adapter),
            "descendants": (descendants := pages.descendants(adapter)),
            "live": [node for node in descendants if node.state == "live"],
            "targets": selectors.target_modules(adapter),
            "retraining": selectors.retraining_of(adapter),
            "cost": selectors.cost_of(adapter, timezone.now()),
            "other_base": selectors.other_base(adapter.run) if adapter.run else None,
        }
        return self.render("training/adapter.html", context)


class AdapterDownload(AdapterPage):
    """The directory as a zip, every file checked against its sha256 before it leaves."""

    def get(self, request: HttpRequest, project: str, pk: int) -> FileResponse:
        adapter = self.adapter(pk)
        name = slugify(adapter.name) or f"adapter-{adapter.pk}"
        return FileResponse(
            archives.zipped(selectors.adapter_path(adapter), name), as_attachment=True, filename=f"{name}.zip"
        )


class AdapterDelete(AdapterPage):
    service = services.delete_adapter
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        adapter = self.adapter(pk)
        self.service(adapter, by=request.user)
        messages.success(request, f"{adapter} and its files are deleted.")
        return redirect("adapter-list", project=self.project.slug)
