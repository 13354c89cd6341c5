"""Saying which base follows which, where the hub does not."""

from django.db import transaction

from deployments.models import Succession
from deployments.selectors import families
from projects import holds, transitions
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.models import User
from training.models import BaseModelVersion


@requires(Permission.BASE_REGISTER)
@transaction.atomic
def declare_successor(old: BaseModelVersion, *, by: User, new: BaseModelVersion) -> Succession:
    """Say that one base follows another, where the hub does not say so."""
    if new.project_id != old.project_id:
        raise Invalid("There is no such base model in this project.", code="not_found", field="new")
    holds.lock(old.project)  # of two who declare a circle at the same time one sees the other
    if old.pk == new.pk:
        raise Invalid("A base does not follow itself.", code="same_base", field="new")
    if families.follows(new, old):
        raise Refused(f"{old} follows {new} already; both ways round would be a circle.", code="circle", field="new")
    made, fresh = Succession.objects.get_or_create(
        old=old, new=new, defaults={"project": old.project, "declared_by": by}
    )
    if fresh:
        transitions.record(made, "succession.declared", actor=by.email)
    return made


@requires(Permission.BASE_REGISTER)
@transaction.atomic
def withdraw_successor(row: Succession, *, by: User) -> None:
    """Take a declaration back; what was ordered by it stays."""
    transitions.record(row, "succession.withdrawn", actor=by.email)
    row.delete()
