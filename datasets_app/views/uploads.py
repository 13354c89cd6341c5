"""Pages of uploads: the file that arrives, its reading, its bad rows, another try."""

from django.http import Http404, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect

from datasets_app import exports, pages, services
from datasets_app.forms import FormatForm
from datasets_app.models import Dataset, Upload
from projects.domain.errors import Invalid
from projects.pages import ProjectPage


class UploadPage(ProjectPage):
    """What the pages of one upload share."""

    room = "datasets"

    def upload(self, pk) -> Upload:
        return get_object_or_404(
            Upload.objects.select_related("dataset", "version", "uploaded_by"), project=self.project, pk=pk
        )


class DatasetUpload(ProjectPage):
    """Takes the file; the page's script reads the answer as JSON, a browser without it is sent on."""

    room = "datasets"
    service = services.accept_upload

    def post(self, request, project, pk):
        dataset = get_object_or_404(Dataset, project=self.project, pk=pk)
        if "file" not in request.FILES:
            raise Invalid("Choose a file first.", code="missing_file", field="file")
        chosen = request.POST.get("forced_format", "")
        upload = self.service(dataset, by=request.user, file=request.FILES["file"], forced_format=chosen)
        if request.accepts("text/html"):
            return redirect(upload)
        return JsonResponse({"url": upload.get_absolute_url()}, status=201)

    def refuse(self, refused):
        if self.request.accepts("text/html"):
            return super().refuse(refused)
        return JsonResponse({"code": refused.code, "message": refused.message}, status=refused.status)


class UploadDetail(UploadPage):
    def get(self, request, project, pk):
        template = "datasets/_upload_status.html" if request.htmx else "datasets/upload_detail.html"
        upload = self.upload(pk)
        form = FormatForm(initial={"forced_format": upload.forced_format or upload.detected_format})
        return self.render(template, {"form": form, **pages.upload_page(upload, request.GET)})


class UploadReread(UploadPage):
    service = services.reread_upload

    def post(self, request, project, pk):
        chosen = request.POST.get("forced_format", "")
        return redirect(self.service(self.upload(pk), by=request.user, forced_format=chosen))


class UploadCancel(UploadPage):
    service = services.cancel_upload

    def post(self, request, project, pk):
        return redirect(self.service(self.upload(pk), by=request.user))


class UploadBadRows(UploadPage):
    """All bad rows as a file."""

    def get(self, request, project, pk, kind):
        if kind not in exports.WRITERS:
            raise Http404
        rows = self.upload(pk).bad_rows.order_by("line", "pk").values(*exports.FIELDS).iterator()
        response = StreamingHttpResponse(exports.WRITERS[kind](rows), content_type=exports.TYPES[kind])
        response["Content-Disposition"] = f'attachment; filename="bad-rows-{pk}.{kind}"'
        response["X-Content-Type-Options"] = "nosniff"
        return response
