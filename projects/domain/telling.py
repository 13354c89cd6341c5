"""Which events a person is told of by e-mail: what they chose, and what is usual for their role."""

from collections.abc import Mapping
from enum import StrEnum

from projects.domain.permissions import GRANTS, Permission, Role


class Mail(StrEnum):
    """What a person wants to hear of one kind of event."""

    OFF = "off"
    MINE = "mine"
    ALL = "all"


class Tell(StrEnum):
    """Who is told as long as they chose nothing else."""

    NOBODY = "nobody"
    WHOSE = "whose it is"
    OWNERS = "owners"
    DECIDERS = "those who decide"


def usual(tell: Tell, role: Role) -> Mail:
    """What is sent to a member of this role who has chosen nothing."""
    if tell is Tell.OWNERS:
        return Mail.ALL if role is Role.OWNER else Mail.OFF
    if tell is Tell.DECIDERS:
        return Mail.ALL if Permission.DEPLOYMENT_DECIDE in GRANTS[role] else Mail.OFF
    return Mail.MINE if tell is Tell.WHOSE else Mail.OFF


def chosen(name: str, tell: Tell, role: Role, choices: Mapping[str, str]) -> Mail:
    made = choices.get(name)
    return Mail(made) if made in set(Mail) else usual(tell, role)


def is_told(mail: Mail, *, mine: bool, own_doing: bool) -> bool:
    """Nobody gets mail about what they have just done themselves."""
    if own_doing or mail is Mail.OFF:
        return False
    return mail is Mail.ALL or mine
