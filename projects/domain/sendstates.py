"""The life of something that is sent, and of the place it is sent to."""

from enum import StrEnum


class SendState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


class EndpointState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"  # by a person
    DISABLED = "disabled"  # by itself, after it has failed for long
    DELETED = "deleted"  # by a person; its deliveries are kept as long as all others
