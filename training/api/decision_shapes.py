"""What every order says where an adapter meets another version of its base."""

from typing import Any

from rest_framework import serializers


class DecisionReasonField(serializers.CharField):
    """Asked for after a refusal, of runs, evaluations and requests alike."""

    def __init__(self, **kwargs: Any) -> None:
        asked: dict[str, Any] = {
            "max_length": 2000,
            "required": False,
            "allow_blank": True,
            "default": "",
            "help_text": "After 409 `base_not_same`: why it may be used on this base. You answer for it by name.",
        }
        super().__init__(**asked | kwargs)
