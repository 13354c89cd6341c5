"""API tokens: a program's key to one project, shown once and stored as a hash."""

from django.db import transaction
from django.utils import timezone

from projects import access
from projects.access import requires
from projects.domain import policies, tokens
from projects.domain.errors import Refused
from projects.domain.permissions import Permission
from projects.domain.tokens import Scope
from projects.models import ApiToken, Project, User
from projects.transitions import record

LUT = len(tokens.PREFIX)


@requires(Permission.TOKEN_CREATE)
@transaction.atomic
def create_token(
    project: Project, *, by: User, name: str, scope: Scope = Scope.READ, days: int = policies.TOKEN_DAYS
) -> tuple[ApiToken, str]:
    """A token with the rights of whoever makes it, as they are at each call; and its secret, stored nowhere."""
    life = policies.token_life(days)
    secret = tokens.new_token()
    token = ApiToken.objects.create(
        project=project,
        user=by,
        name=name,
        start=secret[: LUT + 6],
        token_hash=tokens.digest(secret),
        scope=Scope(scope).value,
        expires_at=timezone.now() + life,
    )
    record(token, "apitoken.created", actor=by.email, scope=token.scope, days=days)
    return token, secret


@requires(Permission.TOKEN_CREATE)
def revoke_token(token: ApiToken, *, by: User, reason: str = "") -> None:
    """End a token at once. One's own always; another person's only as an owner."""
    if token.user_id != by.pk:
        access.require(by, Permission.MEMBER_MANAGE, token.project)
    _revoke(token, actor=by.email, reason=reason)


def revoke_leaked(token: ApiToken) -> None:
    """A token that came in an address stands in logs and histories now: it is over."""
    _revoke(token, actor="luthier", reason="It was sent in an address, where logs and histories keep it.")


@transaction.atomic
def _revoke(token: ApiToken, *, actor: str, reason: str) -> None:
    won = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
    if not won:
        raise Refused("This token is revoked already.", code="already_over")
    record(token, "apitoken.revoked", actor=actor, reason=reason)
