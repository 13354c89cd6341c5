"""Deleting a file that was brought, for whoever asks that nothing of theirs is kept."""

from django.db import transaction
from django.db.models.functions import Now

from datasets_app.models import BadRow, Upload
from projects import artefacts
from projects.access import requires
from projects.domain.errors import Refused
from projects.domain.permissions import Permission
from projects.models import User
from projects.transitions import record


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def forget_file(upload: Upload, *, by: User) -> Upload:
    """Bytes, rows kept aside, examples and quotations go, from every reading of the file; versions stay as they are."""
    readings = list(Upload.objects.select_for_update().filter(key=upload.key).order_by("pk"))
    if upload.forgotten_at:
        raise Refused("This file has been deleted already.", code="bytes_gone")
    if any(one.is_active for one in readings):
        raise Refused("This file is being read. Wait for its end, or cancel it.", code="still_reading")
    for one in readings:
        if one.is_in_the_making or (one.mends and one.mends.is_in_the_making):
            raise Refused(
                "A version is being made of this file. Make it or discard it first, then delete the file.",
                code="in_the_making",
            )
    pks = [one.pk for one in readings]
    keys = {upload.key, *(one.staged_key for one in readings if one.staged_key)}
    Upload.objects.filter(pk__in=pks).update(forgotten_at=Now(), samples=[], head={}, staged_key="", staged_manifest={})
    BadRow.objects.filter(upload__in=pks).update(found="", field="")
    record(upload, "upload.forgotten", actor=by.email, size=upload.size, sha256=upload.sha256, readings=len(pks))
    transaction.on_commit(lambda: _delete(keys))
    upload.refresh_from_db()
    return upload


def _delete(keys: set[str]) -> None:
    for key in sorted(keys):
        artefacts.delete(key)
