"""Secrets of webhooks, out of the installation's key and the salt of a row; and links that need no signing in."""

from datetime import datetime

from django.conf import settings
from django.core import signing as django_signing

from projects.domain import signing
from projects.models import WebhookEndpoint

UNSUBSCRIBE = "luthier.unsubscribe"


def keys() -> list[str]:
    """The present key of the installation and those before it."""
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def current_key_id() -> str:
    return signing.key_id(settings.SECRET_KEY)


def secret_of(endpoint: WebhookEndpoint) -> str:
    return signing.secret_of(endpoint.salt, endpoint.key_id, keys())


def valid_secrets(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """What signs now: the secret and, while it is being replaced, the one before."""
    found = [secret_of(endpoint)]
    if endpoint.old_until is not None and now < endpoint.old_until:
        try:
            found.append(signing.secret_of(endpoint.old_salt, endpoint.old_key_id, keys()))
        except signing.NoSuchKey:
            pass  # the new one signs
    return found


def unsubscribe_token(user_id: int, project_id: int) -> str:
    return django_signing.dumps([user_id, project_id], salt=UNSUBSCRIBE)


def read_unsubscribe(token: str) -> tuple[int, int] | None:
    """Whose mail of which project a link ends; None for what nobody has signed."""
    try:
        user, project = django_signing.loads(token, salt=UNSUBSCRIBE)
    except (django_signing.BadSignature, TypeError, ValueError):
        return None
    return user, project
