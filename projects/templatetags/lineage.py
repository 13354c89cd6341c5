"""What any page about a node of the lineage says of what it stands on."""

from typing import Any

from django import template

from projects import lineage

register = template.Library()
SHOWN = 4


@register.inclusion_tag("projects/_stale.html", takes_context=True)
def stale_notice(context: Any, *names: Any) -> dict[str, Any]:
    """Why this thing is stale: `{% stale_notice "run" run.pk %}`; nothing where nothing is wrong."""
    node = ":".join(map(str, names))
    project = context["project"]
    carried = lineage.stale(project, node).get(node, [])
    labels = lineage.nodes(project, {mark.node for mark in carried[:SHOWN]})
    reasons = [{"mark": mark, "node": labels.get(mark.node), "own": mark.node == node} for mark in carried[:SHOWN]]
    return {"reasons": reasons, "more": max(0, len(carried) - SHOWN), "node": node, "project": project}
