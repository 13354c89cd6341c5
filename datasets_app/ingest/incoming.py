"""Files that arrive in parts: where they lie, and how they go when nobody finishes them."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from datasets_app.models import Incoming
from projects import artefacts

AT_ONCE = 20


def folder_of(incoming: Incoming) -> str:
    return f"uploads/{incoming.pk.hex}"


def sweep_incoming() -> int:
    """Unfinished uploads that nobody has touched for a week go; returns how many."""
    limit = timezone.now() - timedelta(seconds=settings.UPLOAD_KEPT_SECONDS)
    old = Incoming.objects.filter(state=Incoming.State.OPEN, touched_at__lt=limit)[:AT_ONCE]
    return sum(discard(incoming) for incoming in old)


def discard(incoming: Incoming) -> bool:
    """Gone with its parts, unless it has been finished in this moment."""
    with transaction.atomic():
        row = Incoming.objects.select_for_update().filter(pk=incoming.pk, state=Incoming.State.OPEN).first()
        if row is None:
            return False
        keys = list(row.parts.values_list("key", flat=True))
        row.delete()
    for key in keys:
        artefacts.delete(key)
    artefacts.delete(folder_of(incoming))
    return True
