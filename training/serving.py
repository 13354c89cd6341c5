"""What is sent of adapters and of models made of them, for pages and the API alike: archives, files, bills, cards."""

import json
from typing import Any

from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.text import slugify

from training import archives, selectors
from training.domain.bom import MEDIA_TYPE
from training.models import Adapter, DerivedModel


def whole(row: DerivedModel) -> HttpResponseBase:
    """All files as one archive, made while it is sent; each is checked against its sha256 before the first byte."""
    name = selectors.file_name(row)
    response = StreamingHttpResponse(
        archives.streamed(selectors.derived_path(row), name), content_type="application/zip"
    )
    return _attached(response, f"{name}.zip")


def one_file(row: DerivedModel, name: str, asked: str) -> HttpResponseBase:
    """One file that is in the manifest, whole or the range that was asked for; 416 for one that it does not have."""
    entry = row.manifest.get("files", {}).get(name)
    if entry is None:
        raise Http404
    path = selectors.derived_file(row, name)
    size = entry["size"]
    try:
        part = archives.span(asked, size)
    except ValueError:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"})
    start, length = part or (0, size)
    response = StreamingHttpResponse(
        archives.pieces(path, start, length),
        status=206 if part else 200,
        content_type="application/octet-stream",
        headers={"Content-Length": str(length), "Accept-Ranges": "bytes", "ETag": f'"{entry["sha256"]}"'},
    )
    if part:
        response["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    return _attached(response, name)


def bill(thing: Adapter | DerivedModel) -> HttpResponse:
    """The bill of materials in CycloneDX."""
    text = json.dumps(selectors.bill_of(thing), indent=2, ensure_ascii=False)
    return _attached(HttpResponse(text, content_type=MEDIA_TYPE), f"{_name(thing)}.cdx.json")


def card(thing: Adapter | DerivedModel) -> HttpResponse:
    """The model card with what has been measured until now."""
    response = HttpResponse(selectors.card_of(thing), content_type="text/markdown; charset=utf-8")
    return _attached(response, f"{_name(thing)}.README.md")


def _name(thing: Adapter | DerivedModel) -> str:
    return slugify(str(thing)) or f"model-{thing.pk}"


def _attached(response: Any, name: str) -> Any:
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
