"""Evaluations in the lineage of a project."""

from collections.abc import Collection, Iterator, Mapping

from evaluation.models import Evaluation
from projects.contributions import Brief, Edge, Kind, Node
from projects.domain.staleness import Mark
from projects.lineage import among, numbers, picked
from projects.models import Project


class Evaluations:
    """An evaluation descends from its adapter and from the versions it was measured on."""

    kinds: Mapping[str, Kind] = {"evaluation": Kind("Evaluations", "evaluation", 40, prov="activity")}

    def links(self, project: Project) -> Iterator[Edge]:
        found = Evaluation.objects.filter(project=project).order_by("pk")
        columns = ("pk", "adapter", "golden", "retention", "base", "adapter__base")
        for pk, adapter, golden, retention, base, own in found.values_list(*columns):
            here = f"evaluation:{pk}"
            yield Edge(f"adapter:{adapter}", here, "evaluated")
            if base != own:
                yield Edge(f"base:{base}", here, "measured on")
            yield Edge(f"version:{golden}", here, "golden set")
            if retention:
                yield Edge(f"version:{retention}", here, "retention set")

    def briefs(self, project: Project, ids: Collection[str] | None = None) -> Iterator[Brief]:
        found = Evaluation.objects.filter(project=project).order_by("pk")
        columns = ("pk", "adapter__name", "golden__dataset__name", "golden__number", "state")
        for pk, adapter, dataset, number, state in among(found, ids, "evaluation").values_list(*columns):
            yield Brief(f"evaluation:{pk}", "evaluation", f"{adapter} on {dataset} v{number}", state)

    def nodes(self, project: Project, ids: Collection[str]) -> list[Node]:
        found = Evaluation.objects.filter(project=project).select_related("project", "adapter", "golden__dataset")
        return [_node(row) for row in picked(found.order_by("pk"), numbers(ids, "evaluation"))]

    def marks(self, project: Project) -> list[Mark]:
        return []


def _node(row: Evaluation) -> Node:
    score = (row.summary.get("graders") or {}).get(row.summary.get("primary"), {})
    detail = {"primary": row.summary.get("primary"), "difference": score.get("difference")}
    return Node(f"evaluation:{row.pk}", "evaluation", str(row), row.get_absolute_url(), row.state, detail)
