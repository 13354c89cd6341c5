"""Who belongs to a project, and as what."""

from django.db import transaction
from django.utils import timezone

from projects.access import requires
from projects.domain import policies
from projects.domain.errors import Refused
from projects.domain.permissions import Permission, Role
from projects.models import ApiToken, Invitation, Membership, Project, User
from projects.transitions import record


@requires(Permission.MEMBER_MANAGE)
@transaction.atomic
def change_role(membership: Membership, *, by: User, role: Role, reason: str = "") -> Membership:
    """Give a member another role. What they invited as an owner does not outlive their being one."""
    membership = _hold(membership)
    old = membership.role
    if old == role:
        return membership
    policies.keep_an_owner(old, role, _other_owners(membership))
    membership.role = Role(role).value
    membership.save(update_fields=["role"])
    if old == Role.OWNER:
        _void_invitations(membership)
    record(membership, "membership.changed", actor=by.email, reason=reason, **{"from": old, "to": membership.role})
    return membership


@requires(Permission.MEMBER_MANAGE)
def remove_member(membership: Membership, *, by: User, reason: str = "") -> None:
    """Take somebody out of the project; their tokens for it end with it."""
    _take_out(membership, action="membership.removed", actor=by.email, reason=reason)


@requires(Permission.PROJECT_VIEW)
def leave_project(project: Project, *, by: User, reason: str = "") -> None:
    """Every member may leave, but the last owner."""
    membership = Membership.objects.get(project=project, user=by)
    _take_out(membership, action="membership.left", actor=by.email, reason=reason)


@transaction.atomic
def _take_out(membership: Membership, *, action: str, actor: str, reason: str) -> None:
    membership = _hold(membership)
    policies.keep_an_owner(membership.role, None, _other_owners(membership))
    now = timezone.now()
    tokens = ApiToken.objects.filter(project=membership.project, user=membership.user, revoked_at=None)
    revoked = tokens.update(revoked_at=now)
    _void_invitations(membership)
    record(membership, action, actor=actor, reason=reason, role=membership.role, tokens_revoked=revoked)
    membership.delete()


def _hold(membership: Membership) -> Membership:
    """Lock the project, so that two owners cannot demote each other in the same moment, and look again."""
    Project.objects.select_for_update().get(pk=membership.project_id)
    current = Membership.objects.select_related("project", "user").filter(pk=membership.pk).first()
    if current is None:
        raise Refused("This person is no longer a member.", code="just_changed")
    return current


def _other_owners(membership: Membership) -> int:
    owners = Membership.objects.filter(project=membership.project, role=Role.OWNER.value)
    return owners.exclude(pk=membership.pk).count()


def _void_invitations(membership: Membership) -> None:
    open_ones = Invitation.objects.open().filter(project=membership.project, invited_by=membership.user)
    open_ones.update(revoked_at=timezone.now())
