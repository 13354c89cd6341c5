"""The lineage as a tree in words: every node is told once, every edge is one line."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from projects.domain.graph import Links, links

Edge = tuple[str, str]


@dataclass(frozen=True)
class Entry:
    """One line: `node` below `parent` at `depth`. `again` when it was told before, further up."""

    node: str
    parent: str
    depth: int
    again: bool


def outline(nodes: Collection[str], edges: Sequence[Edge]) -> list[Entry]:
    """Depth first from the nodes without parents; what only a cycle leads to begins where the order of nodes says."""
    parents, children = links(edges)
    told: set[str] = set()
    found: list[Entry] = []
    roots = [node for node in nodes if not parents.get(node)]
    for root in [*roots, *nodes]:
        if root not in told:
            found.extend(_below(root, children, told))
    return found


def _below(root: str, children: Links, told: set[str]) -> Iterator[Entry]:
    waiting = [(root, "", 0)]
    while waiting:
        node, parent, depth = waiting.pop()
        again = node in told
        yield Entry(node, parent, depth, again)
        if not again:
            told.add(node)
            waiting.extend((child, node, depth + 1) for child in reversed(children.get(node, [])))


def text(entries: Sequence[Entry], label: dict[str, str], said: dict[Edge, str]) -> str:
    """Plain text, two spaces a level, for a terminal or a letter."""
    lines = []
    for entry in entries:
        how = f" ({said[entry.parent, entry.node]})" if said.get((entry.parent, entry.node)) else ""
        lines.append(f"{'  ' * entry.depth}{label[entry.node]}{how}{' …' if entry.again else ''}")
    return "\n".join(lines) + "\n" if lines else ""
