"""The lineage of a project: what this app adds to it, and the page that draws what all apps add."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from deployments.domain import graph, layout
from deployments.domain.layout import Box, Drawing
from projects import contributions
from projects.contributions import Edge, Node
from projects.domain.states import ACTIVE
from projects.models import Project

DRAW_AT_MOST = 400  # beyond that a drawing is wallpaper; the table still lists everything
TITLES = {
    "base": "Base models",
    "dataset": "Dataset versions",
    "golden": "Golden sets",
    "retention": "Retention sets",
    "run": "Runs",
    "adapter": "Adapters",
    "evaluation": "Evaluations",
    "request": "Requests",
    "deployment": "Deployments",
}


# Requests are steps on the way to a deployment; they are drawn when somebody asks for them.
SHOWN_FIRST = frozenset(TITLES) - {"request"}


def contribution(project: Project) -> tuple[list[Node], list[Edge]]:
    """Requests and deployments; a deployment that failed never carried an adapter and is left out."""
    nodes, edges = [], []
    for request in project.deployment_requests.select_related("project", "slot", "adapter").order_by("pk"):
        here = f"request:{request.pk}"
        nodes.append(
            Node(here, "request", f"#{request.pk} {request.adapter} → {request.slot}", request.get_absolute_url(),
                 request.state, {"digest": request.digest})
        )  # fmt: skip
        edges.append(Edge(f"adapter:{request.adapter_id}", here, "asked for"))
        if request.evaluation_id:
            edges.append(Edge(f"evaluation:{request.evaluation_id}", here, "is evidence"))
    for deployment in (
        project.deployments.filter(Q(verified_at__isnull=False) | Q(state__in=ACTIVE))
        .select_related("slot__project", "adapter")
        .order_by("pk")
    ):
        here = f"deployment:{deployment.pk}"
        state = "live" if deployment.live else deployment.state
        nodes.append(
            Node(here, "deployment", f"{deployment.slot}: {deployment.adapter}", deployment.get_absolute_url(),
                 state, {"release": deployment.release, "kind": deployment.kind})
        )  # fmt: skip
        edges.append(Edge(f"request:{deployment.request_id}", here, "approved"))
        if deployment.back_to_id:
            edges.append(Edge(f"deployment:{deployment.back_to_id}", here, "rolled back to"))
    return nodes, edges


@dataclass(frozen=True)
class Relative:
    node: Node
    label: str


@dataclass(frozen=True)
class Row:
    """One node with its neighbours, as the table says it."""

    node: Node
    relation: str  # "", "this", "ancestor", "descendant"
    parents: Sequence[Relative]
    children: Sequence[Relative]


@dataclass(frozen=True)
class View:
    rows: Sequence[Row]
    drawing: Drawing | None
    nodes: dict[str, Node]
    kinds: Sequence[tuple[str, str, int, bool]]  # kind, title, how many, shown
    focus: Node | None = None
    hidden: int = 0
    edges: Sequence[Edge] = field(default_factory=list)

    @property
    def placed(self) -> list[tuple[Box, Node]]:
        return [(box, self.nodes[box.node]) for box in self.drawing.boxes] if self.drawing else []

    @property
    def heads(self) -> list[tuple[str, int]]:
        return [(title_of(head.stage), head.x) for head in self.drawing.heads] if self.drawing else []


def title_of(kind: str) -> str:
    return TITLES.get(kind, kind.capitalize())


def gather(project: Project) -> tuple[dict[str, Node], list[Edge]]:
    """Everything that the apps know of a project; an edge to something that is gone is dropped."""
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for contribute in contributions.lineage:
        more, links = contribute(project)
        nodes |= {node.id: node for node in more}
        edges += links
    return nodes, [edge for edge in edges if edge.source in nodes and edge.target in nodes]


def view(project: Project, *, focus: str = "", kinds: Collection[str] = ()) -> View:
    """The lineage around `focus`, or all of it; `kinds` leaves only some kinds of node, others are bridged."""
    nodes, edges = gather(project)
    pairs = [(edge.source, edge.target) for edge in edges]
    counts = Counter(node.kind for node in nodes.values())
    shown = set(nodes)
    if focus in nodes:
        shown = graph.family(pairs, focus)
    if kinds:
        shown = {i for i in shown if nodes[i].kind in kinds or i == focus}
    ordered = sorted(shown, key=lambda i: (_kind_order(nodes[i].kind), _number(i)))
    labels = {(edge.source, edge.target): edge.label for edge in edges}
    visible = graph.bridged(pairs, ordered)
    drawing = None
    if ordered and len(ordered) <= DRAW_AT_MOST:
        drawing = layout.layout({i: nodes[i].kind for i in ordered}, visible)
    return View(
        rows=_rows(ordered, nodes, visible, labels, pairs, focus),
        drawing=drawing,
        nodes={i: nodes[i] for i in ordered},
        kinds=[
            (kind, title_of(kind), counts[kind], not kinds or kind in kinds) for kind in sorted(counts, key=_kind_order)
        ],
        focus=nodes.get(focus),
        hidden=len(nodes) - len(shown),
        edges=[Edge(a, b, labels.get((a, b), "")) for a, b in visible],
    )


def _kind_order(kind: str) -> tuple[int, int]:
    known = list(TITLES)
    return layout.stage_rank(kind), known.index(kind) if kind in TITLES else len(known)


def _number(node: str) -> tuple[int, str]:
    tail = node.rpartition(":")[2]
    return (int(tail) if tail.isdigit() else 0, node)


def _rows(
    ordered: Sequence[str],
    nodes: dict[str, Node],
    visible: Sequence[tuple[str, str]],
    labels: dict[tuple[str, str], str],
    pairs: Sequence[tuple[str, str]],
    focus: str,
) -> list[Row]:
    parents, children = graph.links(visible)
    above = graph.ancestors(pairs, focus) if focus else set()

    def relation(node: str) -> str:
        if focus not in nodes:
            return ""
        return "this" if node == focus else "ancestor" if node in above else "descendant"

    return [
        Row(
            nodes[i],
            relation(i),
            [Relative(nodes[p], labels.get((p, i), "")) for p in parents.get(i, ())],
            [Relative(nodes[c], labels.get((i, c), "")) for c in children.get(i, ())],
        )
        for i in ordered
    ]


def excerpt(project: Project, node: str) -> list[Row]:
    """What one node comes from, oldest first, itself last."""
    return [row for row in view(project, focus=node).rows if row.relation in {"ancestor", "this"}]
