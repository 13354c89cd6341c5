"""The lineage as a page shows it: boxes of the drawing, lines of the tree, and the files it leaves as."""

from collections.abc import Iterator
from typing import Any

from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from deployments.domain import outline, prov, svg
from deployments.domain.svg import Cell
from deployments.selectors.graph import View
from projects import lineage
from projects.domain.looks import look_of

PLAIN = ("", "succeeded")  # what nearly all are is not said of each
CLASSES = ("is-again", "is-focus", "is-selected", "is-stale")


def cells(view: View) -> dict[str, Cell]:
    """What is written in each box. A group opens when it is chosen, a node is looked at."""
    found = {}
    for name, brief in view.briefs.items():
        many = view.many(name)
        word = view.known.kinds[brief.kind].word
        marks = view.stale(name)
        state = look_of(brief.state).word.lower() if brief.state not in PLAIN else ""
        what = word if many == 1 else f"{many} × {word}"
        sub = " · ".join(filter(None, ["stale" if marks else "", what, state]))
        title = f"{brief.label} ({sub})" + "".join(f"\n{mark.words}: {mark.reason}" for mark in marks[:3])
        found[name] = Cell(
            brief.label, sub, brief.kind, view.asked.query(node=name), title, bool(marks),
            name == view.asked.focus, name == view.asked.node, brief.state == "live", many,
        )  # fmt: skip
    return found


def drawing(view: View, *, alone: bool = False) -> SafeString:
    name = f"Lineage of {view.focus.label}" if view.focus else f"Lineage of {view.known.project.name}"
    said = name if alone else f"{name}, from what things come from at the left. The tree below says the same in words."
    return mark_safe(svg.draw(view.drawing, cells(view), name=said, alone=alone))


def tree(view: View) -> list[dict[str, Any]]:
    """One row a line, each with the markup of the lists that it opens and closes before it."""
    labels = {edge[:2]: edge.label for edge in view.edges}
    entries, told = view.outline, cells(view)
    rows = []
    depth = -1
    for entry in entries:
        cell = told[entry.node]
        flags = (entry.again, cell.focus, cell.selected, cell.stale)
        rows.append(
            {
                "before": mark_safe(_between(depth, entry.depth)),
                "classes": " ".join(name for name, on in zip(CLASSES, flags, strict=True) if on),
                "current": mark_safe(' aria-current="true"' if cell.selected else ""),
                "kind": cell.kind,
                "href": cell.href,
                "node": entry.node,
                "label": cell.label,
                "sub": cell.sub,
                "how": labels.get((entry.parent, entry.node), ""),
                "again": "told above" if entry.again else "",
                "after": "",
            }
        )
        depth = entry.depth
    if rows:
        rows[-1]["after"] = mark_safe("</li></ul>" * (depth + 1))
    return rows


def _between(before: int, now: int) -> str:
    if now > before:
        return '<ul class="tree">' * (now - before)
    return "</li>" + "</ul></li>" * (before - now)


def text(view: View) -> str:
    labels = {edge[:2]: edge.label for edge in view.edges}
    told = {name: f"{cell.label} [{cell.sub}]" for name, cell in cells(view).items()}
    return outline.text(view.outline, told, labels)


def as_dict(view: View, *, origin: str = "") -> dict[str, Any]:
    """Nodes and edges as plain data, every node in full and with why it is stale. Made of views that fold nothing."""
    found = lineage.nodes(view.known.project, list(view.briefs))
    return {
        "nodes": [_node(view, name, found, origin) for name in view.briefs],
        "edges": [{"source": edge.source, "target": edge.target, "label": edge.label} for edge in view.edges],
    }


def _node(view: View, name: str, found: Any, origin: str) -> dict[str, Any]:
    brief, node = view.briefs[name], found.get(name)
    return {
        "id": name,
        "kind": brief.kind,
        "label": brief.label,
        "state": brief.state,
        "url": f"{origin}{node.url}" if node else "",
        "detail": node.detail if node else {},
        "stale": [
            {"node": mark.node, "code": mark.code, "reason": mark.reason} for mark in view.known.stale.get(name, ())
        ],
    }


def as_prov(view: View, *, origin: str) -> dict[str, Any]:
    """PROV-JSON; what makes a node stale is an attribute of it."""
    told = as_dict(view, origin=origin)
    kinds = view.known.kinds
    nodes = [
        {
            "id": node["id"],
            "prov": kinds[node["kind"]].prov,
            "kind": node["kind"],
            "label": node["label"],
            "more": {"state": node["state"], "url": node["url"], "stale": list(_reasons(node)), **node["detail"]},
        }
        for node in told["nodes"]
    ]
    edges = [(edge["source"], edge["target"], edge["label"]) for edge in told["edges"]]
    return prov.document(nodes, edges, namespace=f"{origin}{reverse('lineage', args=[view.known.project.slug])}#")


def _reasons(node: dict[str, Any]) -> Iterator[str]:
    for mark in node["stale"]:
        yield f"{mark['node']} {mark['code']}: {mark['reason']}"
