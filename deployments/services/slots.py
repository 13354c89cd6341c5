"""Slots: the places where an adapter can be live."""

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from deployments.models import Slot
from projects.access import requires
from projects.domain.errors import Invalid
from projects.domain.permissions import Permission
from projects.models import Project, User
from projects.transitions import record

NAME_AT_MOST = 60


@requires(Permission.SLOT_MANAGE)
def create_slot(project: Project, *, by: User, name: str, description: str = "") -> Slot:
    """A slot and the name of its folder, which only ever comes from us."""
    name, target = " ".join(name.split()), slugify(name)
    if not target or len(name) > NAME_AT_MOST:
        raise Invalid(f"A slot's name needs a letter or a digit and at most {NAME_AT_MOST} characters.", field="name")
    try:
        with transaction.atomic():
            slot = Slot.objects.create(
                project=project, name=name, target=target[:NAME_AT_MOST], description=description, created_by=by
            )
            record(slot, "slot.created", actor=by.email)
    except IntegrityError as taken:
        raise Invalid(
            f"There is already a slot like “{name}”. Choose another name.", code="name_taken", field="name"
        ) from taken
    return slot
