"""Projects: making one and changing what it is called and what its hours cost."""

from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from projects.access import requires
from projects.domain import policies
from projects.domain.errors import Refused
from projects.domain.permissions import Permission, Role
from projects.models import LedgerEntry, Membership, Project
from projects.transitions import record

CHANGEABLE = (
    "name",
    "description",
    "currency",
    "gpu_hour_price",
    "cpu_hour_price",
    "people_hour_price",
    "monthly_budget",
    "stop_at_budget",
    "storage_quota_bytes",
    "review_data_changes",
    "max_synthetic_share",
    "max_synthetic_depth",
)


@transaction.atomic
def create_project(*, by: Any, name: str, description: str = "", currency: str = "EUR") -> Project:
    """A project of one's own: whoever makes it is its owner. Nobody's permission is needed."""
    project = _insert(name=name, description=description, currency=currency)
    Membership.objects.create(project=project, user=by, role=Role.OWNER.value)
    record(project, "project.created", actor=by.email)
    return project


def _insert(**fields: Any) -> Project:
    """Two people may pick the same name in the same moment; then the slower one's address gets a number."""
    wanted = slugify(fields["name"])
    stem = wanted[: policies.SLUG_LENGTH].strip("-")
    for _ in range(5):
        taken = Project.objects.filter(slug__startswith=stem[:40]).values_list("slug", flat=True)
        try:
            with transaction.atomic():
                return Project.objects.create(slug=policies.free_slug(wanted, set(taken)), **fields)
        except IntegrityError:
            continue
    raise Refused("Many projects of this name are being made right now. Try again.", code="just_changed")


@requires(Permission.PROJECT_MANAGE)
@transaction.atomic
def change_settings(project: Project, *, by: Any, reason: str = "", **changes: Any) -> Project:
    """Change what is given; what really changed goes into the audit log with its old and new value."""
    project = Project.objects.select_for_update().get(pk=project.pk)
    changed = {name: value for name, value in changes.items() if getattr(project, name) != value}
    unknown = set(changed) - set(CHANGEABLE)
    if unknown:
        raise TypeError(f"not a setting of a project: {', '.join(sorted(unknown))}")
    if "currency" in changed and LedgerEntry.objects.filter(project=project).exists():
        raise Refused(
            f"The ledger already has lines in {project.currency}, and sums over two currencies would be wrong. "
            "Make a new project for another currency.",
            code="currency_in_use",
            field="currency",
        )
    if not changed:
        return project
    detail = {name: [_plain(getattr(project, name)), _plain(value)] for name, value in changed.items()}
    for name, value in changed.items():
        setattr(project, name, value)
    project.save(update_fields=list(changed))
    record(project, "project.changed", actor=by.email, reason=reason, **detail)
    return project


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value
