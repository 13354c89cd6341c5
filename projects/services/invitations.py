"""Invitations by link: whoever follows one becomes a member, once."""

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from projects.access import requires, role_of
from projects.domain import policies, tokens
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission, Role
from projects.models import Invitation, Membership, Project, User
from projects.services import accounts
from projects.transitions import record


class InvitationGone(Refused):
    """One answer for unknown, used, revoked and expired: a link tells nothing about other links."""

    status = 404
    code = "invitation_gone"

    def __init__(self) -> None:
        super().__init__("This invitation is unknown, used, revoked or expired. Ask an owner for a new link.")


@requires(Permission.MEMBER_MANAGE)
@transaction.atomic
def invite_member(project: Project, *, by: User, role: Role, email: str = "") -> tuple[Invitation, str]:
    """A link for one person, and its secret, which is stored nowhere. An earlier link for the address ends."""
    if email and Membership.objects.filter(project=project, user__email__iexact=email).exists():
        raise Invalid(f"{email} is a member already. Change the role in the list.", code="member", field="email")
    now = timezone.now()
    if email:
        earlier = Q(email__iexact=email)
        Invitation.objects.open().filter(earlier, project=project).update(revoked_at=now)
    secret = tokens.new_token()
    invitation = Invitation.objects.create(
        project=project,
        email=email,
        role=Role(role).value,
        secret_hash=tokens.digest(secret),
        invited_by=by,
        expires_at=now + policies.INVITATION_LIFE,
    )
    record(invitation, "invitation.created", actor=by.email, role=invitation.role, email=email)
    return invitation, secret


@requires(Permission.MEMBER_MANAGE)
@transaction.atomic
def revoke_invitation(invitation: Invitation, *, by: User, reason: str = "") -> None:
    won = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None).update(
        revoked_at=timezone.now()
    )
    if not won:
        raise Refused("This invitation is no longer open, so there is nothing to revoke.", code="already_over")
    record(invitation, "invitation.revoked", actor=by.email, reason=reason)


def find_invitation(secret: str) -> Invitation:
    """The open invitation of a link. Not a service: whoever holds the link is not a member yet."""
    found = Invitation.objects.open().select_related("project", "invited_by").filter(secret_hash=tokens.digest(secret))
    invitation = found.first() if tokens.looks_like_token(secret) else None
    if invitation is None:
        raise InvitationGone
    return invitation


@transaction.atomic
def accept_invitation(secret: str, *, by: User) -> Membership:
    """Become a member. The link is the permission; it works once, and only for the address it was made for."""
    invitation = find_invitation(secret)
    if invitation.email and invitation.email.lower() != by.email.lower():
        raise Refused(
            f"This invitation is for {invitation.email}, and you are signed in as {by.email}. "
            "Sign out and follow the link again.",
            code="other_address",
        )
    if role_of(by, invitation.project):
        raise Refused(f"You are a member of {invitation.project} already.", code="member")
    won = Invitation.objects.open().filter(pk=invitation.pk).update(accepted_by=by, accepted_at=timezone.now())
    if not won:
        raise InvitationGone
    membership = Membership.objects.create(project=invitation.project, user=by, role=invitation.role)
    record(invitation, "invitation.accepted", actor=by.email, role=invitation.role)
    return membership


@transaction.atomic
def accept_as_new_person(secret: str, *, email: str, name: str, password: str) -> Membership:
    """Make the account and the membership in one go: both or neither."""
    invitation = find_invitation(secret)
    user = accounts.create_account(email=invitation.email or email, name=name, password=password)
    return accept_invitation(secret, by=user)
