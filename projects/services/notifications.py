"""What a member wants to hear of by e-mail. It is theirs alone, so the audit log says nothing of it."""

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from projects import events, keyring
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.telling import Mail
from projects.models import MailChoice, Membership, Notice, Project, User


class LinkGone(Refused):
    """One answer for links that nobody made and for people who have left."""

    status = 404
    code = "link_gone"

    def __init__(self) -> None:
        super().__init__("This link is not one of ours, or you are no longer a member: no mail comes from there.")


@requires(Permission.PROJECT_VIEW)
@transaction.atomic
def choose_mail(
    project: Project, *, by: User, choices: Mapping[str, str] | None = None, muted: bool | None = None
) -> MailChoice:
    """Set what is given and leave the rest. `muted` stops or starts all mail of this project."""
    chosen, _ = MailChoice.objects.select_for_update().get_or_create(
        membership=Membership.objects.get(project=project, user=by)
    )
    for name, mail in (choices or {}).items():
        if (kind := events.known(name)) is None or not kind.can_be_chosen:
            raise Invalid(f"There is no event “{name[:60]}”.", code="unknown_event", field="choices")
        if mail not in set(Mail):
            raise Invalid(f"“{mail[:20]}” is none of off, mine and all.", code="unknown_choice", field="choices")
        chosen.choices[name] = mail
    if muted is not None:
        chosen.muted_at = (chosen.muted_at or timezone.now()) if muted else None
    chosen.save()
    return chosen


def who_stops(token: str) -> Membership:
    """Whose mail a link ends. Not a service: whoever holds the link has the letter it stood in."""
    found = keyring.read_unsubscribe(token)
    member = None
    if found is not None:
        user, project = found
        member = Membership.objects.select_related("project", "user").filter(user=user, project=project).first()
    if member is None:
        raise LinkGone
    return member


@transaction.atomic
def stop_mail(token: str) -> Membership:
    """No more mail of this project for whoever the link was made for; what has not left yet does not leave."""
    member = who_stops(token)
    choice, _ = MailChoice.objects.get_or_create(membership=member)
    if choice.muted_at is None:
        MailChoice.objects.filter(pk=choice.pk, muted_at=None).update(muted_at=timezone.now())
    Notice.objects.filter(letter=None, user=member.user, event__project=member.project).delete()
    return member
