"""What templates of several apps show about datasets."""

from typing import Any

from django import template

from datasets_app import pages
from datasets_app.models import DatasetVersion

register = template.Library()


@register.inclusion_tag("datasets/_version_tabs.html", takes_context=True)
def version_tabs(context: Any, version: DatasetVersion) -> dict[str, Any]:
    """The tabs of a version; the one whose page this is is marked as current."""
    return {"tabs": pages.version_tabs(version), "here": context["request"].path}
