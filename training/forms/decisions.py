"""What every form asks where an adapter meets another version of its base."""

from typing import Any

from django import forms


class DecisionReason(forms.CharField):
    """Why the pair may be used: asked by runs, evaluations and requests alike, and kept with the answer for it."""

    def __init__(self, **kwargs: Any) -> None:
        asked: dict[str, Any] = {
            "required": False,
            "max_length": 2000,
            "label": "Why it may be used on this base",
            "widget": forms.Textarea(attrs={"rows": 3}),
            "help_text": "You answer for it by name. Whoever sees a result of this pair reads it.",
        }
        super().__init__(**asked | kwargs)
