"""Training in the lineage of a project.

base → version → run → adapter; version → run, and no further, where a run is looked at with it and does not learn from
it; adapter → run when one goes on; base → adapter for one that was imported; base and
adapter → what was merged or quantised of them.
"""

from collections.abc import Collection, Iterator, Mapping

from projects.contributions import Brief, Edge, Kind, Node
from projects.domain.staleness import Cause, Mark
from projects.lineage import among, numbers, picked
from projects.models import Project
from training.domain.derived import Kind as Derived
from training.domain.matching import Proof
from training.models import Adapter, BaseModelVersion, DerivedModel, Run


class Training:
    """Base-model versions, runs, adapters, and models made of those."""

    kinds: Mapping[str, Kind] = {
        "base": Kind("Base models", "base model", 0, causes=(Cause.WITHDRAWN, Cause.LICENCE)),
        "run": Kind("Runs", "run", 20, prov="activity"),
        "adapter": Kind("Adapters", "adapter", 30, causes=(Cause.WITHDRAWN, Cause.LICENCE)),
        "merge": Kind("Merged models", "merged model", 35, causes=(Cause.WITHDRAWN,)),
        "quantisation": Kind("Quantised models", "quantised model", 36, causes=(Cause.WITHDRAWN,)),
    }

    def links(self, project: Project) -> Iterator[Edge]:
        runs = Run.objects.filter(project=project).order_by("pk")
        columns = ("pk", "base", "dataset_version", "validation_version", "parent_adapter")
        for run, base, version, held_out, parent in runs.values_list(*columns):
            here = f"run:{run}"
            yield Edge(f"base:{base}", here, "base")
            yield Edge(f"version:{version}", here, "trained on")
            if held_out:
                yield Edge(f"version:{held_out}", here, "looked at with", onward=False)
            if parent:
                yield Edge(f"adapter:{parent}", here, "goes on from")
        yield from _origins(project)
        yield from _derived_links(project)

    def briefs(self, project: Project, ids: Collection[str] | None = None) -> Iterator[Brief]:
        bases = BaseModelVersion.objects.filter(project=project).order_by("pk")
        for pk, name, state in among(bases, ids, "base").values_list("pk", "name", "state"):
            yield Brief(f"base:{pk}", "base", name, state)
        runs = Run.objects.filter(project=project).order_by("pk")
        for pk, name, state, sweep, of in among(runs, ids, "run").values_list(
            "pk", "name", "state", "sweep", "sweep__name"
        ):
            group = (f"sweep:{sweep}:runs", f"Runs of {of}") if sweep else ("", "")
            yield Brief(f"run:{pk}", "run", name, state, *group)
        adapters = Adapter.objects.filter(project=project).order_by("pk")
        for pk, name, sweep, of in among(adapters, ids, "adapter").values_list(
            "pk", "name", "run__sweep", "run__sweep__name"
        ):
            group = (f"sweep:{sweep}:adapters", f"Adapters of {of}") if sweep else ("", "")
            yield Brief(f"adapter:{pk}", "adapter", name, "succeeded", *group)
        yield from _derived_briefs(project, ids)

    def nodes(self, project: Project, ids: Collection[str]) -> list[Node]:
        bases = BaseModelVersion.objects.filter(project=project).select_related("project").order_by("pk")
        runs = Run.objects.filter(project=project).select_related("project", "sweep").order_by("pk")
        adapters = Adapter.objects.filter(project=project).select_related("project", "imported", "run").order_by("pk")
        return [
            *map(_base, picked(bases, numbers(ids, "base"))),
            *map(_run, picked(runs.defer("spec", "projection", "report"), numbers(ids, "run"))),
            *map(_adapter, picked(adapters.defer("manifest"), numbers(ids, "adapter"))),
            *_derived_nodes(project, ids),
        ]

    def marks(self, project: Project) -> list[Mark]:
        return []


def _origins(project: Project) -> Iterator[Edge]:
    """The run that made an adapter; of an imported one the base, and the data if they were declared."""
    found = Adapter.objects.filter(project=project).order_by("pk")
    for pk, run, base, version, proof in found.values_list("pk", "run", "base", "dataset_version", "imported__proof"):
        here = f"adapter:{pk}"
        if run:
            yield Edge(f"run:{run}", here, "made")
            continue
        yield Edge(f"base:{base}", here, "base" if proof == Proof.EXACT else "imported for")
        if version:
            yield Edge(f"version:{version}", here, "declared as trained on")


NODES = {kind.value: kind.node for kind in Derived}


def _derived_links(project: Project) -> Iterator[Edge]:
    found = DerivedModel.objects.filter(project=project).order_by("pk")
    for pk, kind, adapter, base in found.values_list("pk", "kind", "adapter", "adapter__base"):
        here = f"{NODES[kind]}:{pk}"
        yield Edge(f"adapter:{adapter}", here, "merged" if kind == Derived.MERGED else "merged and quantised")
        yield Edge(f"base:{base}", here, "holds its weights")


def _derived_briefs(project: Project, ids: Collection[str] | None) -> Iterator[Brief]:
    rows = DerivedModel.objects.filter(project=project).order_by("pk")
    for node in dict.fromkeys(NODES.values()):
        kinds = [kind for kind, name in NODES.items() if name == node]
        for pk, kind, name, state in among(rows.filter(kind__in=kinds), ids, node).values_list(
            "pk", "kind", "adapter__name", "state"
        ):
            yield Brief(f"{node}:{pk}", node, f"{name}, {Derived(kind).label}", state)


def _derived_nodes(project: Project, ids: Collection[str]) -> Iterator[Node]:
    rows = DerivedModel.objects.filter(project=project).select_related("project", "adapter").defer("manifest", "facts")
    for node in dict.fromkeys(NODES.values()):
        kinds = [kind for kind, name in NODES.items() if name == node]
        for row in picked(rows.filter(kind__in=kinds).order_by("pk"), numbers(ids, node)):
            detail = {"digest": row.digest[:8], "kind": row.kind, "bytes": row.size_bytes}
            yield Node(f"{node}:{row.pk}", node, str(row), row.get_absolute_url(), row.state, detail)


def _base(row: BaseModelVersion) -> Node:
    detail = {"fingerprint": row.fingerprint[:8], "revision": row.revision, "licence": row.licence}
    return Node(f"base:{row.pk}", "base", str(row), row.get_absolute_url(), row.state, detail)


def _run(row: Run) -> Node:
    detail = {"method": row.method, "loss": row.last_loss, "sweep": str(row.sweep) if row.sweep else ""}
    return Node(f"run:{row.pk}", "run", str(row), row.get_absolute_url(), row.state, detail)


def _adapter(row: Adapter) -> Node:
    detail = {"digest": row.digest[:8], "rank": row.rank, "alpha": row.alpha, "origin": row.origin}
    if replaced := row.run and row.run.launched_with.get("replaces"):
        detail["replaces"] = f"{replaced['name']} on {replaced['base']}"
    return Node(f"adapter:{row.pk}", "adapter", str(row), row.get_absolute_url(), "succeeded", detail)
