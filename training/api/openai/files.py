"""/v1/files: training files and results of jobs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from projects import artefacts
from projects.domain.errors import Invalid
from projects.models import Project
from training.api.openai import shapes
from training.api.openai.base import MOST_LISTED, OpenAIViewSet, found, listed, page
from training.domain import finetuning
from training.models import Run
from training.selectors import finetuning as reading
from training.services import finetuning as services

PURPOSES = ("fine-tune", "fine-tune-results")
PIECE = 256 * 1024


class FileViewSet(OpenAIViewSet):
    parser_classes: Any = [MultiPartParser]
    known_filters = ("after", "limit", "order", "purpose")
    services = {"create": services.upload_file, "destroy": services.delete_file}

    def create(self, request: Any, **kwargs: Any) -> Response:
        """Take a file; it is read in the background, and a job may be ordered with it at once."""
        file, purpose = request.FILES.get("file"), request.data.get("purpose")
        if purpose != "fine-tune":
            told = f"“{str(purpose)[:40]}” is none of those" if purpose else "It was not said"
            raise Invalid(f"The purpose must be fine-tune. {told}.", code="invalid_purpose", field="purpose")
        if unknown := sorted(name for name in request.data if name not in {"file", "purpose"}):
            text = f"Unknown parameter: “{unknown[0][:60]}”. Files are kept until somebody deletes them."
            raise Invalid(text, code="unknown_parameter", field=unknown[0][:60])
        if file is None:
            raise Invalid("Missing required parameter: “file”.", code="missing_required_parameter", field="file")
        upload = self.services["create"](self.project, by=request.user, file=file)
        return Response(shapes.file_object(upload))

    def list(self, request: Any, **kwargs: Any) -> Response:
        order, purpose = request.query_params.get("order", "desc"), request.query_params.get("purpose", "")
        if order not in {"asc", "desc"} or (purpose and purpose not in PURPOSES):
            wrong = "purpose" if order in {"asc", "desc"} else "order"
            raise Invalid(f"“{request.query_params[wrong][:40]}” is not known.", code="invalid_value", field=wrong)
        ids = _ids(self.project, purpose)
        chosen, more = page(request, ids if order == "desc" else ids[::-1], usual=MOST_LISTED, most=MOST_LISTED)
        return listed(_objects(self.project, chosen), more)

    def retrieve(self, request: Any, file_id: str, **kwargs: Any) -> Response:
        row = self._row(file_id)
        return Response(shapes.results_object(row) if isinstance(row, Run) else shapes.file_object(row))

    def content(self, request: Any, file_id: str, **kwargs: Any) -> Any:
        """The bytes as they came, or the metrics of a job as CSV."""
        row = self._row(file_id)
        if isinstance(row, Run):
            return HttpResponse(reading.results_csv(row), content_type="text/csv; charset=utf-8")
        headers = {"Content-Disposition": "attachment", "Content-Length": str(row.size)}
        return StreamingHttpResponse(
            _pieces(artefacts.local_files(row.key)), content_type="application/octet-stream", headers=headers
        )

    def destroy(self, request: Any, file_id: str, **kwargs: Any) -> Response:
        row = self._row(file_id)
        if isinstance(row, Run):
            raise Invalid("Results stay with their job. Delete its run on its page.", code="invalid_file_purpose",
                          field="file_id")  # fmt: skip
        self.services["destroy"](row, by=request.user)
        return Response({"id": file_id, "object": "file", "deleted": True})

    def _row(self, file_id: str) -> Any:
        upload, run = finetuning.read_id(file_id, "file"), finetuning.read_id(file_id, "file-results")
        rows: Any = reading.results(self.project) if run else reading.files(self.project)
        return found(rows.filter(pk=run or upload or 0).first(), "File object", file_id)


def _pieces(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


def _ids(project: Project, purpose: str) -> list[str]:
    """Of all files, the newest first."""
    rows: list[tuple[Any, str]] = []
    if purpose != "fine-tune-results":
        rows += [(at, f"file-{pk}") for pk, at in reading.files(project).values_list("pk", "created_at")]
    if purpose != "fine-tune":
        rows += [(at, f"file-results-{pk}") for pk, at in reading.results(project).values_list("pk", "finished_at")]
    return [name for _, name in sorted(rows, reverse=True)]


def _objects(project: Project, ids: list[str]) -> list[dict[str, Any]]:
    uploads = reading.files(project).in_bulk([pk for one in ids if (pk := finetuning.read_id(one, "file"))])
    runs = reading.results(project).in_bulk([pk for one in ids if (pk := finetuning.read_id(one, "file-results"))])
    shown = {f"file-{pk}": shapes.file_object(row) for pk, row in uploads.items()}
    shown |= {f"file-results-{pk}": shapes.results_object(row) for pk, row in runs.items()}
    return [shown[one] for one in ids]
