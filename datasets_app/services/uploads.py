"""What people may do with files: bring them, have them read again, stop their reading."""

import uuid
from typing import Any

from django.conf import settings
from django.db import transaction

from datasets_app import selectors
from datasets_app.domain.codes import HOPELESS
from datasets_app.domain.names import display_name
from datasets_app.models import Dataset, Upload
from datasets_app.services.options import read_mapping, read_options, refuse_format
from projects import artefacts, leases
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.formatting import size as readable_size
from projects.domain.permissions import Permission
from projects.models import User
from projects.transitions import record


@requires(Permission.DATASET_EDIT)
def accept_upload(dataset: Dataset, *, by: User, file: Any, **options: Any) -> Upload:
    """Store the bytes as they are and queue their reading; nothing is parsed here.

    Options: forced_format, mapping, provenance, hold (wait with the version while rows are kept aside), mends (id).
    """
    wanted = read_options(dataset, options)
    refuse_size(file.size)
    with transaction.atomic():
        selectors.refuse_full(dataset.project, file.size)
    key = f"uploads/{uuid.uuid4().hex}"
    sha256, size = artefacts.store_upload(key, file.chunks())
    try:
        name = display_name(file.name or "")
        return queue_reading(dataset, by, file_name=name, key=key, sha256=sha256, size=size, **wanted)
    except BaseException:
        artefacts.delete(key)
        raise


@requires(Permission.DATASET_EDIT)
def reread_upload(
    upload: Upload, *, by: User, forced_format: str = "", mapping: dict[str, Any] | None = None
) -> Upload:
    """Read the same bytes once more, as somebody has said; the first reading stays as it is."""
    refuse_format(forced_format)
    wanted = upload.mapping if mapping is None else read_mapping(mapping)
    if upload.is_active:
        raise Refused("This upload is still being read. Wait for its end, or cancel it.", code="still_reading")
    if upload.mends is not None and not upload.mends.is_in_the_making:
        raise Refused("What this file was to mend is a version already, or was discarded.", code="not_in_the_making")
    if upload.forgotten_at:
        raise Refused("This file has been deleted. Upload it again if it may be used.", code="bytes_gone")
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
        mapping=wanted,
        provenance=upload.provenance,
        hold=upload.hold,
        mends=upload.mends,
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


def refuse_size(size: int) -> None:
    if size <= 0:
        raise Invalid("The file is empty. Check the export that made it.", code="empty_file", field="file")
    if size > settings.MAX_UPLOAD_BYTES:
        raise Invalid(
            f"The file has {readable_size(size)}; at most {readable_size(settings.MAX_UPLOAD_BYTES)} are taken. "
            "Split it or compress it (.gz, .zst).",
            code="too_large",
            field="file",
        )
