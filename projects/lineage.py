"""The lineage of a project as the apps together know it: its graph, its nodes, and what makes them stale.

Edges and names are read anew as plain tuples, from the rows that say them: there is no second copy to keep true.
"""

from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import TypeVar

from django.db.models import Model, QuerySet

from projects import contributions
from projects.contributions import Brief, Edge, Kind, Node
from projects.domain import staleness
from projects.domain.graph import Graph
from projects.domain.staleness import Cause, Mark
from projects.models import Project, Withdrawal

Row = TypeVar("Row", bound=Model)
MISSING = "missing"
MOST_ASKED = 2000
GONE = Kind("Missing", "missing node", 99)


@dataclass(frozen=True)
class Whole:
    """Every node and edge of a project. An edge to something that is not there has a node that says so."""

    project: Project
    briefs: Mapping[str, Brief]
    edges: list[Edge]

    @cached_property
    def graph(self) -> Graph:
        return Graph(self.edges)

    @cached_property
    def stale(self) -> dict[str, list[Mark]]:
        found = marks(self.project)
        return staleness.spread(self.graph, found) if found else {}

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Those that the project has, from left to right; one that nobody has registered stands at the end."""
        known = kinds()
        there = {name: known.get(name) or kind_of(name) for name in self.counts}
        return dict(sorted(there.items(), key=lambda item: (item[1].rank, item[0])))

    def ordered(self, nodes: Container[str]) -> list[str]:
        """By kind, then by age: apps tell their nodes in the order of their numbers."""
        rank = {name: kind.rank for name, kind in self.kinds.items()}
        found = [(rank[brief.kind], node) for node, brief in self.briefs.items() if node in nodes]
        return [node for _, node in sorted(found, key=itemgetter(0))]

    @property
    def live(self) -> list[str]:
        return [node for node, brief in self.briefs.items() if brief.state == "live"]

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(brief.kind for brief in self.briefs.values())


@dataclass(frozen=True)
class Impact:
    """What hangs on some nodes, by kind in the order of kinds; what is live among it."""

    by_kind: Mapping[str, list[Brief]]

    @property
    def total(self) -> int:
        return sum(map(len, self.by_kind.values()))

    @property
    def live(self) -> list[Brief]:
        return [brief for found in self.by_kind.values() for brief in found if brief.state == "live"]


def kinds() -> dict[str, Kind]:
    """Every kind that an app has, from left to right."""
    found = {name: kind for source in contributions.lineage for name, kind in source.kinds.items()}
    return dict(sorted(found.items(), key=lambda item: item[1].rank)) | {MISSING: GONE}


def kind_of(name: str) -> Kind:
    """A kind that nobody has registered stands at the right end instead of vanishing."""
    return kinds().get(name) or Kind(name.capitalize(), name, 98)


def whole(project: Project) -> Whole:
    briefs: dict[str, Brief] = {}
    edges: list[Edge] = []
    for source in contributions.lineage:
        briefs |= {brief.id: brief for brief in source.briefs(project)}
        edges += source.links(project)
    gone = dict.fromkeys(end for edge in edges for end in edge[:2] if end not in briefs)
    briefs |= {node: Brief(node, MISSING, node.replace(":", " "), MISSING) for node in gone}
    return Whole(project, briefs, edges)


def nodes(project: Project, ids: Collection[str]) -> dict[str, Node]:
    """Those that are there, in full."""
    found = [node for source in contributions.lineage for node in source.nodes(project, ids)] if ids else []
    return {node.id: node for node in found}


def node(project: Project, name: str) -> Node | None:
    return nodes(project, [name]).get(name)


def impact(project: Project, *starts: str, stops: Collection[str] = (), known: Whole | None = None) -> Impact:
    """Everything that descends from these nodes, as far as `stops`."""
    graph = known.graph if known else Graph(edge for source in contributions.lineage for edge in source.links(project))
    reached = graph.descendants(*starts, stops=stops)
    if known:
        found = [known.briefs[name] for name in reached]
    else:
        told = (brief for source in contributions.lineage for brief in source.briefs(project, reached))
        found = [brief for brief in told if brief.id in reached]
    by_kind: dict[str, list[Brief]] = {name: [] for name in kinds()}
    for brief in found:
        by_kind.setdefault(brief.kind, []).append(brief)
    return Impact({kind: sorted(briefs, key=number) for kind, briefs in by_kind.items() if briefs})


def number(brief: Brief) -> tuple[int, str]:
    """By age: rows are numbered as they come."""
    tail = brief.id.rpartition(":")[2]
    return (int(tail) if tail.isdecimal() else 0, brief.id)


def numbers(ids: Iterable[str], word: str) -> list[int]:
    """The numbers of the ids that begin with this word; anything else in an address is nobody's."""
    tails = (tail for head, _, tail in (name.partition(":") for name in ids) if head == word)
    return [int(tail) for tail in tails if tail.isascii() and tail.isdecimal() and len(tail) < 19]


def among(rows: QuerySet[Row], ids: Collection[str] | None, word: str) -> QuerySet[Row]:
    """Only the rows asked for where that spares reading; all of them where nothing or too much is asked for."""
    pks = numbers(ids, word) if ids is not None and len(ids) <= MOST_ASKED else None
    return rows if pks is None else rows.filter(pk__in=pks)


def picked(rows: QuerySet[Row], pks: Collection[int]) -> Iterable[Row]:
    """Rows by their numbers; of more than a database takes in one question those are picked out here."""
    if len(pks) <= MOST_ASKED:
        return rows.filter(pk__in=pks)
    wanted = set(pks)
    return (row for row in rows.iterator(chunk_size=MOST_ASKED) if row.pk in wanted)


def marks(project: Project) -> list[Mark]:
    """What is wrong with nodes of the project: said by people, or known to an app."""
    said = project.withdrawals.filter(lifted_at=None).exclude(cause=Cause.ERASED).select_related("by")
    known = [mark for source in contributions.lineage for mark in source.marks(project)]
    return [as_mark(withdrawal) for withdrawal in said] + known


def as_mark(withdrawal: Withdrawal, stops: Iterable[str] = ()) -> Mark:
    return Mark(
        withdrawal.node,
        withdrawal.cause,
        withdrawal.reason,
        withdrawal.at,
        str(withdrawal.by),
        frozenset([*stops, *withdrawal.detail.get("stops", [])]),
    )


def stale(project: Project, *names: str) -> dict[str, list[Mark]]:
    """What these nodes carry, of their own and from their ancestors. Nothing is walked where nothing is wrong."""
    found = marks(project)
    if not found:
        return {}
    graph = Graph(edge for source in contributions.lineage for edge in source.links(project))
    carried = staleness.spread(graph, found)
    return {name: carried[name] for name in names if name in carried}
