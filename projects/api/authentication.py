"""API tokens: `Authorization: Bearer lut_…`, bound to one project, hashed in the database."""

from datetime import timedelta
from typing import Any

from django.http import Http404
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header

from projects.domain.errors import Invalid
from projects.domain.tokens import digest, looks_like_token
from projects.models import ApiToken
from projects.services import tokens

SEEN_EVERY = timedelta(minutes=1)  # last use is a hint for people; writing it at every call would be a lock


class TokenAuthentication(BaseAuthentication):
    def authenticate(self, request: Any) -> tuple[Any, ApiToken] | None:
        refuse_leaked_tokens(request)
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        token = self._find(words[1].decode("ascii", "replace") if len(words) == 2 else "")
        wanted = request.parser_context.get("kwargs", {}).get("project")
        if wanted is not None and wanted != token.project.slug:
            raise Http404
        if token.scope == "read" and request.method not in {"GET", "HEAD", "OPTIONS"}:
            raise exceptions.PermissionDenied("This token may only read. Make one with the scope “read and write”.")
        now = timezone.now()
        if token.last_used_at is None or now - token.last_used_at > SEEN_EVERY:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def _find(self, secret: str) -> ApiToken:
        if looks_like_token(secret):
            found = ApiToken.objects.live().select_related("user", "project").filter(token_hash=digest(secret)).first()
            if found is not None:
                return found
        raise exceptions.AuthenticationFailed("This token is unknown, expired or revoked.", code="invalid_token")

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


def refuse_leaked_tokens(request: Any) -> None:
    """A token in an address stands in logs and histories from now on: it is revoked, and the call refused."""
    for value in filter(looks_like_token, request.query_params.values()):
        for token in ApiToken.objects.live().select_related("project").filter(token_hash=digest(value)):
            tokens.revoke_leaked(token)
        raise Invalid(
            "A token came in the address, where logs keep it, so it is revoked. Make a new one and send it in the "
            "header “Authorization: Bearer …”.",
            code="token_in_address",
        )
