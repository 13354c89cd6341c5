"""What the lineage page shows: which nodes, drawn how, told in which order, and the one that is looked at."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from deployments.domain import asking, folding, layout, outline
from deployments.domain.asking import Asked
from deployments.domain.folding import Folded, Sibling
from deployments.domain.layout import Drawing
from deployments.domain.outline import Entry
from projects import lineage
from projects.contributions import Brief, Edge, Node
from projects.domain.staleness import Mark
from projects.lineage import Whole
from projects.models import Project

DRAW_AT_MOST = 400  # beyond that a drawing is wallpaper
GROUP = "group"


@dataclass(frozen=True)
class Choice:
    """A kind to show or to leave out."""

    kind: str
    title: str
    count: int
    shown: bool


@dataclass(frozen=True)
class View:
    """The part of a project's lineage that was asked for. Groups stand in `briefs` beside single nodes."""

    asked: Asked
    known: Whole
    briefs: Mapping[str, Brief]
    edges: Sequence[Edge]
    folded: Folded
    cut: int

    @cached_property
    def drawing(self) -> Drawing:
        return layout.layout(list(self.briefs), [edge[:2] for edge in self.edges])

    @cached_property
    def outline(self) -> list[Entry]:
        return outline.outline(list(self.briefs), [edge[:2] for edge in self.edges])

    @property
    def focus(self) -> Brief | None:
        return self.known.briefs.get(self.asked.focus)

    @property
    def selected(self) -> Brief | None:
        return self.known.briefs.get(self.asked.node)

    @property
    def total(self) -> int:
        return len(self.known.briefs)

    @property
    def choices(self) -> list[Choice]:
        kinds, counts, wanted = self.known.kinds, self.known.counts, _wanted(self.known, self.asked)
        return [Choice(name, kind.title, counts[name], name in wanted) for name, kind in kinds.items()]

    @property
    def cyclic(self) -> list[Brief]:
        return sorted((self.known.briefs[node] for node in self.known.graph.cyclic), key=lineage.number)

    @property
    def missing(self) -> list[Brief]:
        return [brief for brief in self.known.briefs.values() if brief.kind == lineage.MISSING]

    def stale(self, node: str) -> list[Mark]:
        """Of a group what any of its members carries."""
        inside = self.folded.members.get(node, (node,))
        found = {mark: None for one in inside for mark in self.known.stale.get(one, ())}
        return list(found)

    def many(self, node: str) -> int:
        return len(self.folded.members.get(node, (node,)))

    def relation(self, node: str) -> str:
        """To the focus; of a group that of its first."""
        first = self.folded.members.get(node, (node,))[0]
        if not self.focus:
            return ""
        return "this" if first == self.asked.focus else "ancestor" if first in self._above else "descendant"

    @cached_property
    def _above(self) -> set[str]:
        return self.known.graph.ancestors(self.asked.focus)


def view(project: Project, asked: Asked, *, most: int = DRAW_AT_MOST, known: Whole | None = None) -> View:
    """At most so many nodes and groups, the nearest to what was asked for."""
    known = known or lineage.whole(project)
    shown = _chosen(known, asked)
    ordered = known.ordered(shown)
    visible = known.graph.bridged(dict.fromkeys(ordered))
    nodes = {node: Sibling(known.briefs[node].kind, known.briefs[node].group) for node in ordered}
    keep = {asked.focus, asked.node, *known.live}
    folded = folding.fold(nodes, visible, opened=asked.opened, keep=keep) if asked.fold else Folded({}, {})
    briefs = dict.fromkeys(map(folded.of, ordered))
    joined = folded.edges(visible)
    near = asking.nearest(_starts(known, asked, folded), briefs, joined, most)
    labels = {edge[:2]: edge.label for edge in known.edges}
    return View(
        asked,
        known,
        {node: _brief(node, known, folded) for node in briefs if node in near.nodes},
        [Edge(*pair, labels.get(pair, "")) for pair in joined if pair[0] in near.nodes and pair[1] in near.nodes],
        folded,
        near.cut,
    )


def _chosen(known: Whole, asked: Asked) -> set[str]:
    """Which nodes: of the focus, of what is live, or all; of the kinds that were chosen, or all that are not aside."""
    shown = set(known.briefs)
    if asked.focus in known.briefs:
        shown = known.graph.family(asked.focus)
    elif asked.live:
        shown = known.graph.ancestors(*known.live) | set(known.live)
    wanted = _wanted(known, asked)
    return {node for node in shown if known.briefs[node].kind in wanted or node == asked.focus}


def _wanted(known: Whole, asked: Asked) -> frozenset[str]:
    return asked.kinds or frozenset(name for name, kind in known.kinds.items() if not kind.aside)


def _starts(known: Whole, asked: Asked, folded: Folded) -> list[str]:
    """Where a drawing begins that cannot hold everything: the focus, else what is live, else the newest."""
    if asked.focus in known.briefs:
        return [asked.focus]
    newest = list(reversed(known.ordered(known.briefs)[-20:]))
    return [folded.of(node) for node in [*known.live, *newest]]


def _brief(node: str, known: Whole, folded: Folded) -> Brief:
    """A single node, or a group with its kind, how many it is and in which states they are."""
    inside = folded.members.get(node)
    if inside is None:
        return known.briefs[node]
    first = known.briefs[inside[0]]
    kind = known.kinds[first.kind]
    label = first.group_label if node == first.group else f"{len(inside)} {kind.title.lower()}"
    counts = Counter(known.briefs[one].state for one in inside)
    return Brief(node, first.kind, label, next(iter(counts)) if len(counts) == 1 else "")


def excerpt(project: Project, node: str) -> list[Node]:
    """What one node comes from, oldest first, itself last."""
    known = lineage.whole(project)
    ids = [*known.ordered(known.graph.ancestors(node)), node]
    found = lineage.nodes(project, ids)
    return [found[one] for one in ids if one in found]
