"""The rooms of a project in its sidebar, the same on every page of it."""

from functools import lru_cache

from django import template
from django.conf import settings
from django.template.loader import get_template
from django.urls import get_script_prefix
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.simple_tag
def rooms(slug: str, room: str) -> SafeString:
    """Links to all rooms of a project, the current one marked.

    Nothing else is in them, so they are kept: ten addresses and icons are a twentieth of what a full page takes.
    """
    make = _rooms.__wrapped__ if settings.DEBUG else _rooms
    return make(slug, room, get_script_prefix())


@lru_cache(1024)
def _rooms(slug: str, room: str, prefix: str) -> SafeString:
    return mark_safe(get_template("projects/_nav_rooms.html").render({"slug": slug, "room": room}))
