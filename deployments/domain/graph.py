"""Walking a lineage graph in both directions."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

Links = Mapping[str, list[str]]


def links(edges: Iterable[tuple[str, str]]) -> tuple[Links, Links]:
    """Parents and children of every node, without repeats, in the order of the edges."""
    parents: dict[str, list[str]] = defaultdict(list)
    children: dict[str, list[str]] = defaultdict(list)
    for source, target in dict.fromkeys(edges):
        children[source].append(target)
        parents[target].append(source)
    return parents, children


def reachable(start: str, steps: Links) -> set[str]:
    """Everything found by following `steps` from `start`, which is itself left out. Cycles do no harm."""
    seen: set[str] = set()
    waiting = list(steps.get(start, ()))
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(steps.get(node, ()))
    return seen - {start}


def ancestors(edges: Iterable[tuple[str, str]], node: str) -> set[str]:
    return reachable(node, links(edges)[0])


def descendants(edges: Iterable[tuple[str, str]], node: str) -> set[str]:
    return reachable(node, links(edges)[1])


def family(edges: Collection[tuple[str, str]], node: str) -> set[str]:
    """A node with all it comes from and all that hangs on it."""
    return {node} | ancestors(edges, node) | descendants(edges, node)


def within(edges: Iterable[tuple[str, str]], nodes: Collection[str]) -> list[tuple[str, str]]:
    return [(source, target) for source, target in edges if source in nodes and target in nodes]


def bridged(edges: Collection[tuple[str, str]], shown: Collection[str]) -> list[tuple[str, str]]:
    """Edges among the shown nodes, where a path through hidden ones counts as an edge."""
    _, children = links(edges)
    found: dict[tuple[str, str], None] = {}
    for start in shown:
        seen: set[str] = set()
        waiting = list(reversed(children.get(start, [])))
        while waiting:
            node = waiting.pop()
            if node in shown:
                if node != start:
                    found[(start, node)] = None
            elif node not in seen:
                seen.add(node)
                waiting.extend(children.get(node, ()))
    return list(found)
