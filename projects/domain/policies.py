"""Rules about people and tokens that no role can overrule."""

from collections.abc import Collection
from datetime import timedelta

from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role

INVITATION_LIFE = timedelta(days=7)
TOKEN_DAYS, MAX_TOKEN_DAYS = 30, 90
RESERVED_SLUGS = frozenset({"new"})  # /projects/new/ is the form that makes a project
SLUG_LENGTH = 50


class LastOwner(Refused):
    """A project without an owner could never be managed again."""

    code = "last_owner"


def keep_an_owner(old: str, new: str | None, other_owners: int) -> None:
    """Refuse what would leave the project without an owner. `new` is None when the person leaves."""
    if old == Role.OWNER and new != Role.OWNER and not other_owners:
        what = "leave" if new is None else "become something else"
        raise LastOwner(f"The last owner of a project cannot {what}. Make another member an owner first.")


def token_life(days: int) -> timedelta:
    if not 1 <= days <= MAX_TOKEN_DAYS:
        raise Invalid(f"A token lives 1 to {MAX_TOKEN_DAYS} days.", field="days")
    return timedelta(days=days)


def free_slug(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, or the first of wanted-2, wanted-3, … that is neither taken nor an address of its own."""
    base = wanted[:SLUG_LENGTH].strip("-") or "project"
    unusable = RESERVED_SLUGS | set(taken)
    slug, number = base, 2
    while slug in unusable:
        ending = f"-{number}"
        slug, number = base[: SLUG_LENGTH - len(ending)].rstrip("-") + ending, number + 1
    return slug
