"""What a host must promise before it may work."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register("workers")
def check_grace(**_: Any) -> list[CheckMessage]:
    """What is stopped must be given the time to save; a host with less would lose work each time it is restarted."""
    given, least = settings.STOP_GRACE_SECONDS, settings.MIN_STOP_GRACE_SECONDS
    if given >= least:
        return []
    return [
        Error(
            f"A run that is stopped is given {given:g} s to save, and {least:g} s is the least.",
            hint="Raise LUTHIER_STOP_GRACE_SECONDS, or lower LUTHIER_MIN_STOP_GRACE_SECONDS if runs here are tiny.",
            id="projects.E001",
        )
    ]
