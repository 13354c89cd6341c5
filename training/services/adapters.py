"""Removing adapters."""

from django.db import transaction
from django.db.models import ProtectedError

from projects import artefacts, transitions
from projects.access import requires
from projects.domain.errors import Refused
from projects.domain.permissions import Permission
from projects.models import User
from training.models import Adapter


@requires(Permission.ADAPTER_DELETE)
@transaction.atomic
def delete_adapter(adapter: Adapter, *, by: User) -> None:
    """Remove an adapter and its files; refused while a run, an evaluation or a deployment descends from it."""
    transitions.record(adapter, "adapter.deleted", actor=by.email, digest=adapter.digest)
    key, name = adapter.key, str(adapter)
    try:
        adapter.delete()
    except ProtectedError as protected:
        kinds = sorted({str(type(row)._meta.verbose_name) for row in protected.protected_objects})
        count = len(protected.protected_objects)
        raise Refused(
            f"{count} others descend from {name} ({', '.join(kinds)}), so it stays.",
            code="has_descendants",
        ) from protected
    transaction.on_commit(lambda: artefacts.delete(key))
