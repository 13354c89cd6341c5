"""A version in the making: good rows that wait, rows kept aside that are mended and join them, the version itself."""

from django.db import transaction

from datasets_app import selectors
from datasets_app.models import BadRow, Build, Upload
from datasets_app.services.builds import queue_build
from datasets_app.services.options import read_fixes, refuse_made
from datasets_app.services.uploads import queue_reading
from projects import artefacts
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.models import User
from projects.transitions import record


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def mend_rows(upload: Upload, *, by: User, fixes: list[str]) -> Upload:
    """Apply these fixes to all rows kept aside, in the background; what they mend joins the version in the making."""
    refuse_made(upload)
    names = read_fixes(fixes)
    if not names:
        raise Invalid("Choose at least one fix.", code="fix_missing", field="fixes")
    refuse_busy(upload)
    return queue_reading(
        upload.dataset,
        by,
        file_name=upload.file_name,
        key=upload.key,
        sha256=upload.sha256,
        size=upload.size,
        forced_format=upload.detected_format,
        mapping={**upload.mapping, "fixes": names},
        provenance=upload.provenance,
        mends=upload,
        reread_of=upload,
    )


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def make_version(upload: Upload, *, by: User) -> Build:
    """The good rows and all that joined them, in the order of their lines, become the version."""
    Upload.objects.select_for_update().get(pk=upload.pk)
    upload.refresh_from_db()
    refuse_made(upload)
    refuse_busy(upload)
    menders = selectors.menders(upload)
    title = f"Rows of {upload.file_name}, {len(menders)} times mended" if menders else f"Rows of {upload.file_name}"
    build = queue_build(upload.dataset, by=by, steps=[], staged=[upload, *menders], title=title)
    return build


@requires(Permission.DATASET_EDIT)
def discard_making(upload: Upload, *, by: User) -> Upload:
    """Give up a version in the making, or take one mending out of it again. The file itself stays and can be reread."""
    base = upload.mends or upload
    with transaction.atomic():
        Upload.objects.select_for_update().get(pk=base.pk)
        base.refresh_from_db()
        refuse_made(base)
        gone = [upload, *selectors.menders(upload)] if upload.mends is None else [upload]
        if not upload.staged_key:
            raise Refused("There is nothing to discard.", code="nothing_staged")
        BadRow.objects.filter(mended_by__in=gone).update(mended_by=None)
        keys = [one.staged_key for one in gone]
        Upload.objects.filter(pk__in=[one.pk for one in gone]).update(staged_key="", staged_manifest={})
        record(upload, "upload.discarded", actor=by.email)
    for key in keys:
        artefacts.delete(key)
    upload.refresh_from_db()
    return upload


def refuse_busy(upload: Upload) -> None:
    if any(mender.is_active for mender in upload.menders.all()):
        raise Refused("Rows are being mended right now. Wait for the result.", code="still_mending")
