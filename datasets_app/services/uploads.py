"""What people may do with files: bring them, have them read again, stop their reading."""

import uuid
from typing import Any

from django.conf import settings
from django.db import transaction

from datasets_app.domain.codes import HOPELESS
from datasets_app.domain.formats.base import Format
from datasets_app.domain.names import display_name
from datasets_app.models import Dataset, Upload
from projects import artefacts, leases
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.formatting import size as readable_size
from projects.domain.permissions import Permission
from projects.models import User
from projects.transitions import record


@requires(Permission.DATASET_EDIT)
def accept_upload(dataset: Dataset, *, by: User, file: Any, forced_format: str = "") -> Upload:
    """Store the bytes as they are and queue their reading; nothing is parsed here."""
    refuse_format(forced_format)
    if file.size == 0:
        raise Invalid("The file is empty. Check the export that made it.", code="empty_file", field="file")
    if file.size > settings.MAX_UPLOAD_BYTES:
        raise Invalid(
            f"The file has {readable_size(file.size)}; at most {readable_size(settings.MAX_UPLOAD_BYTES)} are taken. "
            "Split it or compress it (.gz, .zst).",
            code="too_large",
            field="file",
        )
    key = f"uploads/{uuid.uuid4().hex}"
    sha256, size = artefacts.store_upload(key, file.chunks())
    try:
        return queue_reading(
            dataset,
            by,
            file_name=display_name(file.name or ""),
            key=key,
            sha256=sha256,
            size=size,
            forced_format=forced_format,
        )
    except BaseException:
        artefacts.delete(key)
        raise


@requires(Permission.DATASET_EDIT)
def reread_upload(upload: Upload, *, by: User, forced_format: str = "") -> Upload:
    """Read the same bytes once more, in a format that somebody chose; the first reading stays as it is."""
    refuse_format(forced_format)
    if upload.is_active:
        raise Refused("This upload is still being read. Wait for its end, or cancel it.", code="still_reading")
    if upload.error_code in HOPELESS:
        raise Refused(
            "The bytes of this file were not kept, because no format could read them. Upload a mended file.",
            code="bytes_gone",
        )
    return queue_reading(
        upload.dataset,
        by,
        file_name=upload.file_name,
        key=upload.key,
        sha256=upload.sha256,
        size=upload.size,
        forced_format=forced_format,
        reread_of=upload,
    )


@requires(Permission.DATASET_EDIT)
def cancel_upload(upload: Upload, *, by: User) -> Upload:
    leases.request_cancel(upload, actor=by.email)
    return upload


@transaction.atomic
def queue_reading(dataset: Dataset, by: User, **fields: Any) -> Upload:
    upload = Upload.objects.create(project=dataset.project, dataset=dataset, uploaded_by=by, **fields)
    record(upload, "upload.created", actor=by.email, size=upload.size, sha256=upload.sha256)
    leases.queue_job(upload, actor=by.email)
    return upload


def refuse_format(name: str) -> None:
    if name and name not in list(Format):
        raise Invalid(f"“{name}” is none of {', '.join(Format)}.", code="format_unknown", field="format")
