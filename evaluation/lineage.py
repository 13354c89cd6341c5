"""Evaluations in the lineage of a project."""

from collections.abc import Collection, Iterator, Mapping

from evaluation.models import Equivalence, Evaluation
from projects.contributions import Brief, Edge, Kind, Node
from projects.domain.staleness import Mark
from projects.lineage import among, numbers, picked
from projects.models import Project
from training.domain.derived import Kind as Derived


class Evaluations:
    """An evaluation descends from its adapter, or from what was made of it, and from the sets it was measured on."""

    kinds: Mapping[str, Kind] = {
        "evaluation": Kind("Evaluations", "evaluation", 40, prov="activity"),
        "equivalence": Kind("Equivalence tests", "equivalence test", 41, prov="activity"),
    }

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
        rows = Equivalence.objects.filter(project=project).order_by("pk")
        for pk, made, kind, golden in rows.values_list("pk", "derived", "derived__kind", "golden"):
            yield Edge(f"{Derived(kind).node}:{made}", f"equivalence:{pk}", "held against its adapter")
            yield Edge(f"version:{golden}", f"equivalence:{pk}", "golden set")

    def briefs(self, project: Project, ids: Collection[str] | None = None) -> Iterator[Brief]:
        found = Evaluation.objects.filter(project=project).order_by("pk")
        columns = ("pk", "adapter__name", "golden__dataset__name", "golden__number", "state")
        for pk, adapter, dataset, number, state in among(found, ids, "evaluation").values_list(*columns):
            yield Brief(f"evaluation:{pk}", "evaluation", f"{adapter} on {dataset} v{number}", state)
        rows = among(Equivalence.objects.filter(project=project).order_by("pk"), ids, "equivalence")
        names = ("pk", "derived__adapter__name", "derived__kind", "golden__dataset__name", "golden__number", "state")
        for pk, adapter, made, dataset, number, state in rows.values_list(*names):
            label = f"{adapter}, {Derived(made).label} on {dataset} v{number}"
            yield Brief(f"equivalence:{pk}", "equivalence", label, state)

    def nodes(self, project: Project, ids: Collection[str]) -> list[Node]:
        found = Evaluation.objects.filter(project=project).select_related("project", "adapter", "golden__dataset")
        rows = Equivalence.objects.filter(project=project)
        rows = rows.select_related("project", "derived__adapter", "golden__dataset")
        return [
            *map(_node, picked(found.order_by("pk"), numbers(ids, "evaluation"))),
            *map(_equivalence, picked(rows.order_by("pk"), numbers(ids, "equivalence"))),
        ]

    def marks(self, project: Project) -> list[Mark]:
        return []


def _node(row: Evaluation) -> Node:
    score = (row.summary.get("graders") or {}).get(row.summary.get("primary"), {})
    detail = {"primary": row.summary.get("primary"), "difference": score.get("difference")}
    return Node(f"evaluation:{row.pk}", "evaluation", str(row), row.get_absolute_url(), row.state, detail)


def _equivalence(row: Equivalence) -> Node:
    detail = {"judgement": row.figures.get("judgement"), "margin": row.settings.get("margin")}
    return Node(f"equivalence:{row.pk}", "equivalence", str(row), row.get_absolute_url(), row.state, detail)
