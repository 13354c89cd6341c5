"""Training in the lineage of a project.

base → version → run → adapter; adapter → run when one goes on; base → adapter for one that was imported.
"""

from projects.contributions import Edge, Node
from projects.models import Project
from training.models import Adapter, BaseModelVersion, Run


def graph(project: Project) -> tuple[list[Node], list[Edge]]:
    nodes = [_base(row) for row in BaseModelVersion.objects.filter(project=project).select_related("project")]
    edges: list[Edge] = []
    for run in Run.objects.filter(project=project).select_related("project").order_by("pk"):
        nodes.append(_run(run))
        edges.append(Edge(f"base:{run.base_id}", f"run:{run.pk}", "base"))
        edges.append(Edge(f"version:{run.dataset_version_id}", f"run:{run.pk}", "trained on"))
        if run.parent_adapter_id:
            edges.append(Edge(f"adapter:{run.parent_adapter_id}", f"run:{run.pk}", "goes on from"))
    for adapter in Adapter.objects.filter(project=project).select_related("project", "imported").order_by("pk"):
        nodes.append(_adapter(adapter))
        edges += _origins(adapter)
    return nodes, edges


def _origins(adapter: Adapter) -> list[Edge]:
    """The run that made it; of an imported one the base, and the data if they were declared."""
    here = f"adapter:{adapter.pk}"
    if adapter.run_id:
        return [Edge(f"run:{adapter.run_id}", here, "made")]
    edges = [Edge(f"base:{adapter.base_id}", here, "imported for" if adapter.is_unproven else "base")]
    if adapter.dataset_version_id:
        edges.append(Edge(f"version:{adapter.dataset_version_id}", here, "declared as trained on"))
    return edges


def _base(row: BaseModelVersion) -> Node:
    detail = {"fingerprint": row.fingerprint, "revision": row.revision, "licence": row.licence}
    return Node(f"base:{row.pk}", "base", str(row), row.get_absolute_url(), row.state, detail)


def _run(row: Run) -> Node:
    return Node(f"run:{row.pk}", "run", str(row), row.get_absolute_url(), row.state, {"method": row.method})


def _adapter(row: Adapter) -> Node:
    detail = {"digest": row.digest, "rank": row.rank, "origin": row.origin}
    return Node(f"adapter:{row.pk}", "adapter", str(row), row.get_absolute_url(), "succeeded", detail)
