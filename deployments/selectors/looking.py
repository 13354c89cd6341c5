"""One node of the lineage looked at closely: its facts, its neighbours, what hangs on it, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployments.selectors.graph import View
from projects import lineage
from projects.contributions import Brief, Kind, Node
from projects.domain.staleness import Mark
from projects.lineage import Impact, Whole
from projects.models import Withdrawal

NAMED = 12  # neighbours that are named; the tree has all of them


@dataclass(frozen=True)
class Relative:
    brief: Brief
    label: str


@dataclass(frozen=True)
class Looked:
    """`node` is missing of something that is referred to and not there."""

    brief: Brief
    kind: Kind
    node: Node | None
    parents: Sequence[Relative]
    children: Sequence[Relative]
    above: Mapping[str, int]
    impact: Impact
    marks: Sequence[tuple[Mark, Brief | None]]
    withdrawals: Sequence[Withdrawal]
    cyclic: bool

    @property
    def facts(self) -> list[tuple[str, object]]:
        told = self.node.detail.items() if self.node else ()
        return [(name.replace("_", " ").capitalize(), value) for name, value in told if value not in (None, "")]

    @property
    def below(self) -> list[tuple[str, int, bool]]:
        """How many of each kind hang on it, and whether any of them is live."""
        found = self.impact.by_kind.items()
        return [(name, len(briefs), any(one.state == "live" for one in briefs)) for name, briefs in found]


@dataclass(frozen=True)
class Stack:
    """A group that is drawn as one, with its members."""

    brief: Brief
    kind: Kind
    members: Sequence[Brief]


def look(known: Whole, name: str) -> Looked | None:
    brief = known.briefs.get(name)
    if brief is None:
        return None
    labels = {edge[:2]: edge.label for edge in known.edges}
    above = known.graph.ancestors(name)
    counts = {kind: sum(1 for one in above if known.briefs[one].kind == kind) for kind in known.kinds}
    marks = [(mark, known.briefs.get(mark.node)) for mark in known.stale.get(name, ())]
    return Looked(
        brief=brief,
        kind=known.kinds[brief.kind],
        node=lineage.node(known.project, name),
        parents=[Relative(known.briefs[one], labels[one, name]) for one in known.graph.parents.get(name, ())],
        children=[Relative(known.briefs[one], labels[name, one]) for one in known.graph.children.get(name, ())],
        above={kind: count for kind, count in counts.items() if count},
        impact=lineage.impact(known.project, name, known=known),
        marks=marks,
        withdrawals=withdrawn(known, name),
        cyclic=name in known.graph.cyclic,
    )


def withdrawn(known: Whole, name: str) -> list[Withdrawal]:
    """What people have said against this very node, taken back or not."""
    return list(known.project.withdrawals.filter(node=name).select_related("by", "lifted_by", "project"))


def stack(view: View, name: str) -> Stack | None:
    inside = view.folded.members.get(name)
    if inside is None or name not in view.briefs:
        return None
    brief = view.briefs[name]
    return Stack(brief, view.known.kinds[brief.kind], [view.known.briefs[one] for one in inside])
