"""Pages of uploads: the file that arrives, its reading, how it is to be read, another try."""

from typing import Any

from django.contrib import messages
from django.http import Http404, JsonResponse
from django.shortcuts import get_object_or_404, redirect

from datasets_app import exports, pages, services
from datasets_app.forms import FormatForm, UploadOptionsForm, mapping_from
from datasets_app.models import Dataset, Incoming, Upload
from projects.domain.errors import Invalid, Refused
from projects.pages import ProjectPage


class UploadPage(ProjectPage):
    """What the pages of one upload share."""

    room = "datasets"

    def upload(self, pk) -> Upload:
        known = Upload.objects.select_related("dataset", "version", "uploaded_by", "mends", "reread_of")
        return get_object_or_404(known, project=self.project, pk=pk)


class DatasetUpload(ProjectPage):
    """Takes the files of a plain form; a browser with scripts sends its files in parts, through the API."""

    room = "datasets"
    service = services.accept_upload

    def post(self, request, project, pk):
        dataset = get_object_or_404(Dataset, project=self.project, pk=pk)
        files = request.FILES.getlist("file")
        if not files:
            raise Invalid("Choose a file first.", code="missing_file", field="file")
        options = UploadOptionsForm(request.POST).options()
        uploads = [self.service(dataset, by=request.user, file=file, **options) for file in files]
        target = uploads[0].get_absolute_url() if len(uploads) == 1 else dataset.get_absolute_url()
        if request.accepts("text/html"):
            return redirect(target)
        return JsonResponse({"url": target}, status=201)

    def refuse(self, refused):
        if self.request.accepts("text/html"):
            return super().refuse(refused)
        return JsonResponse({"code": refused.code, "message": refused.message}, status=refused.status)


class IncomingDiscard(ProjectPage):
    """Throws away an unfinished upload of one's own."""

    room = "datasets"
    service = services.abort_upload

    def post(self, request, project, pk):
        incoming = get_object_or_404(Incoming, project=self.project, created_by=request.user, pk=pk)
        back = incoming.dataset.get_absolute_url()
        self.service(incoming, by=request.user)
        messages.info(request, f"“{incoming.file_name}” is discarded. Nothing of it is kept.")
        return redirect(back)


class UploadDetail(UploadPage):
    def get(self, request, project, pk):
        template = "datasets/_upload_status.html" if request.htmx else "datasets/upload_detail.html"
        upload = self.upload(pk)
        form = FormatForm(initial={"forced_format": upload.forced_format or upload.detected_format})
        return self.render(template, {"form": form, **pages.upload_page(upload, request.GET)})


class UploadPreview(UploadPage):
    """Three rows of the file, read with the mapping that is being tried."""

    def get(self, request, project, pk):
        upload, context = self.upload(pk), {}
        try:
            context = pages.preview(upload, request.GET.get("forced_format", ""), mapping_from(request.GET))
        except Refused as refused:
            context = {"refusal": refused.message}
        return self.render("datasets/_upload_preview.html", {"upload": upload, **context})


class UploadReread(UploadPage):
    service = services.reread_upload

    def post(self, request, project, pk):
        upload = self.upload(pk)
        wanted: dict[str, Any] = {"forced_format": request.POST.get("forced_format", "")}
        said = mapping_from(request.POST) if "mapped" in request.POST else upload.mapping
        fixes = request.POST.getlist("fix") or upload.mapping.get("fixes")
        wanted["mapping"] = {**said, "fixes": fixes} if fixes else said
        return redirect(self.service(upload, by=request.user, **wanted))


class UploadCancel(UploadPage):
    service = services.cancel_upload

    def post(self, request, project, pk):
        return redirect(self.service(self.upload(pk), by=request.user))


class UploadMend(UploadPage):
    """Applies the chosen fixes to the rows kept aside."""

    service = services.mend_rows

    def post(self, request, project, pk):
        upload = self.upload(pk)
        self.service(upload, by=request.user, fixes=request.POST.getlist("fix"))
        return redirect(upload)


class UploadMake(UploadPage):
    service = services.make_version

    def post(self, request, project, pk):
        self.service(self.upload(pk), by=request.user)
        return redirect(self.upload(pk))


class UploadDiscard(UploadPage):
    service = services.discard_making

    def post(self, request, project, pk):
        upload = self.service(self.upload(pk), by=request.user)
        messages.info(request, "Taken out again. The file is kept, so it can be read once more.")
        return redirect(upload.mends or upload)


class UploadForget(UploadPage):
    """Deletes the file; its version stays."""

    service = services.forget_file

    def post(self, request, project, pk):
        upload = self.service(self.upload(pk), by=request.user)
        messages.info(request, "The file, its first rows and what was quoted of bad rows are deleted.")
        return redirect(upload)


class UploadBadRows(UploadPage):
    """All bad rows as a file."""

    def get(self, request, project, pk, kind):
        wanted = {"mend": "mend.jsonl", "rows": "rows.jsonl"}.get(kind, kind)
        if wanted not in exports.BAD_ROWS:
            raise Http404
        return exports.bad_rows_response(self.upload(pk), wanted)
