"""Endpoints, something that happens, and sending it."""

from typing import Any

from projects import courier, transitions
from projects.domain.permissions import Role
from projects.models import Event, Project, WebhookEndpoint
from projects.services import webhooks
from tests.factories.plain_receiver import receiving, replies, reply
from tests.factories.projects import make_member

__all__ = ["happen", "make_endpoint", "receiving", "replies", "reply", "send"]


def make_endpoint(project: Project, url: str = "https://hooks.example.org/luthier", **fields: Any) -> WebhookEndpoint:
    """An endpoint with its secret in `secret`, made by an owner."""
    by = fields.pop("by", None) or make_member(project, Role.OWNER)
    endpoint, secret = webhooks.create_endpoint(project, by=by, url=url, events=fields.pop("events", ["*"]), **fields)
    endpoint.secret = secret
    return endpoint


def happen(project: Project, name: str = "webhook.disabled") -> Event:
    """Something that is told of: an endpoint that hears of nothing here says that it is gone."""
    endpoint = WebhookEndpoint(project=project, url="https://gone.example.org/", state="active", created_by=_someone())
    endpoint.events, endpoint.state, endpoint.state_reason = [], "disabled", "It is gone."
    endpoint.salt = endpoint.key_id = ""
    endpoint.save()
    line = transitions.record(endpoint, "webhookendpoint.disabled", actor="courier")
    return Event.objects.get(audit_id=line.pk)


def _someone() -> Any:
    return make_member()


def send() -> int:
    return courier.run()
