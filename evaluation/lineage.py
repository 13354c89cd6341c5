"""Evaluations in the lineage of a project."""

from evaluation.models import Evaluation
from projects.contributions import Edge, Node
from projects.models import Project


def contribution(project: Project) -> tuple[list[Node], list[Edge]]:
    """An evaluation descends from its adapter and from the versions it was measured on."""
    nodes, edges = [], []
    rows = Evaluation.objects.filter(project=project).select_related("project", "adapter", "golden__dataset")
    for row in rows.order_by("pk"):
        here = f"evaluation:{row.pk}"
        score = (row.summary.get("graders") or {}).get(row.summary.get("primary"), {})
        detail = {"primary": row.summary.get("primary"), "difference": score.get("difference")}
        nodes.append(Node(here, "evaluation", str(row), row.get_absolute_url(), row.state, detail))
        edges.append(Edge(f"adapter:{row.adapter_id}", here, "evaluated"))
        edges.append(Edge(f"version:{row.golden_id}", here, "golden set"))
        if row.retention_id:
            edges.append(Edge(f"version:{row.retention_id}", here, "retention set"))
    return nodes, edges
