"""Files that arrive in parts: begun once, sent over as many connections as it takes, finished exactly once."""

import hashlib
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from datasets_app import selectors
from datasets_app.domain.names import display_name
from datasets_app.ingest import incoming as arrivals
from datasets_app.models import Dataset, Incoming, Part, Upload
from datasets_app.services.options import read_options, storable
from datasets_app.services.uploads import queue_reading, refuse_size
from projects import artefacts, faults
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.models import User

MOST_OPEN = 50  # unfinished uploads of one person in one project
CHUNK = 1024 * 1024
HEX = frozenset("0123456789abcdef")


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def begin_upload(
    dataset: Dataset, *, by: User, file_name: str, size: int, sha256: str = "", options: dict[str, Any] | None = None
) -> Incoming:
    """Announce a file; its size counts against the project's storage from now on."""
    wanted = storable(read_options(dataset, options or {}))
    sha256 = _digest(sha256, "sha256")
    refuse_size(size)
    selectors.refuse_full(dataset.project, size)
    if Incoming.objects.filter(project=dataset.project, created_by=by, state=Incoming.State.OPEN).count() >= MOST_OPEN:
        raise Refused(
            f"You have {MOST_OPEN} unfinished uploads in this project. Finish or discard some of them first.",
            code="too_many_unfinished",
        )
    return Incoming.objects.create(
        project=dataset.project,
        dataset=dataset,
        file_name=display_name(file_name),
        size=size,
        part_size=settings.UPLOAD_PART_BYTES,
        sha256=sha256,
        options=wanted,
        created_by=by,
    )


@requires(Permission.DATASET_EDIT)
def store_part(incoming: Incoming, *, by: User, number: int, stream: Any, sha256: str = "") -> Part:
    """Take one part whole or not at all. The same part once more is fine; another content under its number is not."""
    refuse_closed(incoming)
    if not 0 <= number < incoming.parts_expected:
        raise Invalid(
            f"This file has parts 0 to {incoming.parts_expected - 1}; there is no part {number}.",
            code="unknown_part",
            field="number",
        )
    said, wanted = _digest(sha256, "sha256"), part_size(incoming, number)
    key = f"{arrivals.folder_of(incoming)}/{number:06d}-{uuid.uuid4().hex[:12]}"
    found, size = artefacts.store_upload(key, _at_most(stream, wanted + 1))
    try:
        if size != wanted:
            more = "more" if size > wanted else f"{size}"
            raise Invalid(f"Part {number} has {wanted} bytes; {more} came.", code="part_size", field="number")
        if said and said != found:
            raise Invalid(
                f"Part {number} did not arrive as it was sent: its sha256 differs. Send it again.",
                code="checksum_mismatch",
                field="sha256",
            )
        part, is_new = _keep(incoming, number, size, found, key)
    except BaseException:
        artefacts.delete(key)
        raise
    if not is_new:
        artefacts.delete(key)
    return part


@transaction.atomic
def _keep(incoming: Incoming, number: int, size: int, sha256: str, key: str) -> tuple[Part, bool]:
    """The row of the part; another one of the same content may have been quicker."""
    row = Incoming.objects.select_for_update().filter(pk=incoming.pk).first()
    refuse_closed(row)
    part, is_new = Part.objects.get_or_create(
        incoming=row, number=number, defaults={"size": size, "sha256": sha256, "key": key}
    )
    if part.sha256 != sha256:
        raise Refused(
            f"Part {number} is already here with another content. Is this the same file? If it has changed since, "
            "discard this upload and begin a new one.",
            code="part_differs",
        )
    Incoming.objects.filter(pk=incoming.pk).update(touched_at=timezone.now())
    faults.point("incoming.part_kept")
    return part, is_new


@requires(Permission.DATASET_EDIT)
def finish_upload(incoming: Incoming, *, by: User) -> Upload:
    """All parts are there: check size and sha256 and queue the reading. Asked twice, it is the same upload."""
    if incoming.upload is not None:
        return incoming.upload
    refuse_closed(incoming)
    parts = list(incoming.parts.order_by("number"))
    missing = sorted(set(range(incoming.parts_expected)) - {part.number for part in parts})
    if missing:
        some = ", ".join(map(str, missing[:10])) + (" …" if len(missing) > 10 else "")
        raise Invalid(f"Parts are missing: {some}. Send them, then finish again.", code="parts_missing", field="parts")
    sha256 = whole_digest(parts)
    if incoming.sha256 and sha256 != incoming.sha256:
        raise Invalid(
            "The file did not arrive as it was announced: its sha256 differs. Discard this upload and send it again.",
            code="checksum_mismatch",
            field="sha256",
        )
    return _close(incoming, by, parts, sha256)


@transaction.atomic
def _close(incoming: Incoming, by: User, parts: list[Part], sha256: str) -> Upload:
    row = Incoming.objects.select_for_update().filter(pk=incoming.pk).first()
    if row is not None and row.upload is not None:
        return row.upload  # another finish was quicker
    refuse_closed(row)
    assert row is not None
    key = arrivals.folder_of(row)
    artefacts.seal(key, {part.key.rpartition("/")[2]: {"sha256": part.sha256, "size": part.size} for part in parts})
    fields = read_options(row.dataset, row.options)
    upload = queue_reading(row.dataset, by, file_name=row.file_name, key=key, sha256=sha256, size=row.size, **fields)
    row.upload, row.state = upload, Incoming.State.CLOSED
    row.save(update_fields=["upload", "state", "touched_at"])
    faults.point("incoming.closed")
    return upload


@requires(Permission.DATASET_EDIT)
def abort_upload(incoming: Incoming, *, by: User) -> None:
    """Throw away what has arrived."""
    refuse_closed(incoming)
    arrivals.discard(incoming)


def refuse_closed(incoming: Incoming | None) -> None:
    if incoming is None or incoming.state != Incoming.State.OPEN:
        raise Refused("This upload is finished or discarded; it takes no more parts.", code="upload_closed")


def part_size(incoming: Incoming, number: int) -> int:
    return min(incoming.part_size, incoming.size - number * incoming.part_size)


def whole_digest(parts: Iterable[Part]) -> str:
    """The sha256 of the parts as one file, read a megabyte at a time."""
    digest = hashlib.sha256()
    for part in parts:
        with artefacts.local_file(part.key).open("rb") as file:
            while piece := file.read(CHUNK):
                digest.update(piece)
    return digest.hexdigest()


def _at_most(stream: Any, size: int) -> Iterator[bytes]:
    """The stream in pieces, and one byte more than it may have at the most."""
    while size > 0 and (piece := stream.read(min(CHUNK // 4, size))):
        size -= len(piece)
        yield piece


def _digest(text: str, field: str) -> str:
    text = text.strip().lower()
    if text and (len(text) != 64 or not set(text) <= HEX):
        raise Invalid("A sha256 has 64 hexadecimal digits.", code="sha256_invalid", field=field)
    return text
