"""Pieces of pages that hold nothing but addresses and icons: rendered once, and kept while the process lives.

They are on every page, and a tenth of what a full one takes.
"""

from functools import lru_cache
from typing import Any

from django import template
from django.conf import settings
from django.template.loader import get_template
from django.urls import get_script_prefix
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.simple_tag
def kept(name: str) -> SafeString:
    """A template that takes nothing, not even who asks."""
    return _piece(name)


@register.simple_tag
def rooms(slug: str, room: str) -> SafeString:
    """Links to all rooms of a project in its sidebar, the current one marked."""
    return _piece("projects/_nav_rooms.html", slug=slug, room=room)


def _piece(name: str, **takes: str) -> SafeString:
    make = _render.__wrapped__ if settings.DEBUG else _render
    return make(name, get_script_prefix(), **takes)


@lru_cache(1024)
def _render(name: str, prefix: str, **takes: Any) -> SafeString:
    return mark_safe(get_template(name).render(takes))
