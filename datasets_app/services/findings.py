"""What people may decide about findings: live with one, for a reason that is remembered, and take that back."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from datasets_app import selectors
from datasets_app.domain.dismissals import LONGEST_REASON, SHORTEST_REASON
from datasets_app.models import DatasetVersion, Dismissal
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.models import User
from projects.transitions import record


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def dismiss_finding(version: DatasetVersion, *, by: User, code: str, reason: str) -> Dismissal:
    """The finding no longer counts, in this version and later ones, until it grows by more than a fifth or worsens."""
    reason = " ".join(reason.split())
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise Invalid(
            f"Say in {SHORTEST_REASON} to {LONGEST_REASON} characters why this may stay; the next person will ask.",
            code="reason_needed",
            field="reason",
        )
    found = selectors.finding(version, code)
    if found is None:
        raise Refused(f"{version} has no finding “{code}”.", code="no_such_finding")
    if found.decided is not None:
        raise Refused(f"“{found.title}” has been dismissed already, by {found.decided.by}.", code="already_dismissed")
    if found.came_back is not None:
        _withdraw(found.came_back, by)
    try:
        with transaction.atomic():
            dismissal = Dismissal.objects.create(
                dataset=version.dataset,
                code=code,
                count=found.count,
                rows=version.rows,
                version=version,
                reason=reason,
                by=by,
            )
    except IntegrityError as error:
        raise Refused("Somebody else has just dismissed this. Reload the page.", code="just_changed") from error
    record(dismissal, "finding.dismissed", actor=by.email, reason=reason, code=code, rows=found.count, on=str(version))
    return dismissal


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def reopen_finding(version: DatasetVersion, *, by: User, code: str) -> Dismissal:
    """Take a decision back: the finding counts again."""
    standing = Dismissal.objects.select_for_update().filter(
        dataset=version.dataset, code=code, withdrawn_at__isnull=True
    )
    dismissal = standing.first()
    if dismissal is None:
        raise Refused("This finding is not dismissed.", code="not_dismissed")
    _withdraw(dismissal, by)
    return dismissal


def _withdraw(dismissal: Dismissal, by: User) -> None:
    Dismissal.objects.filter(pk=dismissal.pk).update(withdrawn_by=by, withdrawn_at=timezone.now())
    record(dismissal, "finding.reopened", actor=by.email, code=dismissal.code)
