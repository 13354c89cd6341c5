"""What the product sends by itself, in the description of the API: every event as a webhook with its payload."""

from typing import Any

from projects import events
from projects.domain import signing
from projects.events import EventType

SIGNED = (
    "Signed by the Standard Webhooks scheme: HMAC-SHA256 with your secret over `webhook-id.webhook-timestamp.body`. "
    "Refuse what is older than five minutes, and take the same `webhook-id` once only."
)
HEADERS = {
    "webhook-id": "Of the event, the same at every attempt.",
    "webhook-timestamp": "When it was sent, in seconds since 1970.",
    "webhook-signature": "`v1,` and base64; two of them, with a space between, while the secret is being replaced.",
}
PAYLOAD = "WebhookPayload"
SCHEMA = {
    "type": "object",
    "description": "What is sent. More may be added to `data`; what is there keeps its meaning.",
    "required": ["type", "timestamp", "data"],
    "properties": {
        "type": {"type": "string", "description": "The name of the event."},
        "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
        "data": {
            "type": "object",
            "required": ["text", "project", "subject"],
            "properties": {
                "text": {"type": "string", "description": "A plain sentence."},
                "project": {"type": "object", "additionalProperties": {}},
                "subject": {"type": "object", "additionalProperties": {}, "description": "Kind, id, name, url, state."},
                "failure": {"type": "object", "additionalProperties": {}, "description": "Code, cause and a sentence."},
                "money": {"type": "object", "additionalProperties": {}, "description": "Cost so far and currency."},
            },
            "additionalProperties": {},
        },
    },
}


def describe_webhooks(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular. OpenAPI 3.0 knows no webhooks, so they stand under `x-webhooks`."""
    result["components"]["schemas"][PAYLOAD] = SCHEMA
    result["x-webhooks"] = {kind.name: {"post": _operation(kind)} for kind in events.catalogue()}
    return result


def _operation(kind: EventType) -> dict[str, Any]:
    message = {"type": kind.name, "timestamp": "2026-05-04T12:30:00Z", "data": kind.example}
    content = {"schema": {"$ref": f"#/components/schemas/{PAYLOAD}"}, "example": message}
    return {
        "operationId": f"webhook_{kind.name.replace('.', '_')}",
        "summary": kind.meaning,
        "description": f"{SIGNED} (tolerance: {signing.TOLERANCE_SECONDS} s)",
        "tags": ["webhooks"],
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": words}
            for name, words in HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "2XX": {"description": "It has arrived. Anything else is tried again for about a day."},
            "410": {"description": "Nobody is there any more: the endpoint is switched off at once."},
        },
    }
