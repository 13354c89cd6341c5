"""Models that were made of an adapter, on pages of apps below this one."""

from typing import Any

from django import template

from evaluation import derived_pages
from training.models import Adapter

register = template.Library()


@register.inclusion_tag("evaluation/_derived.html", takes_context=True)
def derived_models(context: Any, adapter: Adapter) -> dict[str, Any]:
    """All of an adapter side by side, with what may be done: `{% derived_models adapter %}`."""
    shared = {name: context[name] for name in ("project", "permissions")}
    return shared | {"csrf_token": context.get("csrf_token")} | derived_pages.panel(adapter)
